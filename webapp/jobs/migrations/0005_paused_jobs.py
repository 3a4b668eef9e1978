from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("jobs", "0004_shared_reports"),)

    operations = (
        migrations.AddField(
            model_name="job",
            name="pause_requested",
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name="job",
            name="state",
            field=models.CharField(
                choices=[
                    ("queued", "Queued"),
                    ("running", "Running"),
                    ("paused", "Paused"),
                    ("done", "Done"),
                    ("missed", "Missed"),
                    ("infeasible", "Infeasible"),
                    ("cancelled", "Cancelled"),
                    ("failed", "Failed"),
                ],
                default="queued",
                max_length=12,
            ),
        ),
    )
