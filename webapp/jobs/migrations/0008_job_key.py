from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("jobs", "0007_finished_early"),)

    operations = (
        migrations.AddField(
            model_name="job",
            name="key",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
    )
