from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("accounts", "0002_accounts"),)

    operations = (
        migrations.AddField(
            model_name="auditevent",
            name="network",
            field=models.CharField(blank=True, default="", max_length=45),
        ),
    )
