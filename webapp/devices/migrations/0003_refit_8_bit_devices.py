from django.db import migrations

from compression.errors import CompressionError
from webapp.devices.fitting import calibration_of, described
from webapp.devices.models import OWN
from webapp.devices.targets import profile_text

SEND_AGAIN = "It came when times of 8-bit devices were read as times of float networks. Send it again."


def refit(apps, schema_editor):
    """Devices in 8 bits were fitted as if in float, so their 8-bit times were predicted several times too short."""
    devices = apps.get_model("devices", "OwnDevice").objects.filter(arithmetic="int8")
    devices.exclude(means="kit").update(arithmetic="fp32")
    for device in devices.filter(means="kit"):
        # Whether such a file's features were turned into those of a float network cannot be told from them.
        files = device.measurements.filter(refused="", name__regex="^(artifact|candidate):")
        files.update(refused=SEND_AGAIN)
        device.key = OWN + device.id.hex
        device.profile = _profile(device)
        device.save(update_fields=["profile"])


def _profile(device):
    """As measured; without anything that counts the device waits to be measured again."""
    try:
        found = calibration_of(device)
    except CompressionError:
        return device.profile
    return profile_text(described(found, device)) if found else ""


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0002_pairing"),
    ]

    operations = [
        migrations.RunPython(refit, migrations.RunPython.noop),
    ]
