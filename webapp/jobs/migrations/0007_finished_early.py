from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("jobs", "0006_stored_files"),)

    operations = (
        migrations.AddField(
            model_name="job",
            name="finish_requested",
            field=models.BooleanField(default=False),
        ),
    )
