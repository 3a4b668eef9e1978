from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("jobs", "0008_job_key"),)

    operations = (
        migrations.AddField(
            model_name="job",
            name="selector",
            field=models.CharField(default="dqn", max_length=16),
        ),
    )
