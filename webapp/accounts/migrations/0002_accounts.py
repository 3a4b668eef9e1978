import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sha256', models.CharField(max_length=64, unique=True)),
                ('is_admin', models.BooleanField(default=False)),
                ('expires', models.DateTimeField(null=True)),
                ('invited_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('t', models.DateTimeField(default=django.utils.timezone.now)),
                ('kind', models.CharField(max_length=24)),
                ('account', models.CharField(max_length=150)),
                ('address', models.CharField(blank=True, default='', max_length=45)),
                ('detail', models.CharField(blank=True, default='', max_length=300)),
            ],
            options={
                'ordering': ('-t',),
                'indexes': [models.Index(fields=['kind', 't'], name='audit_kind_t')],
            },
        ),
    ]
