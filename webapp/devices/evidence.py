"""What the predictions for a device rest on: networks timed there, and where every figure comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compression.cost import band
from compression.device_evidence import evidence
from webapp.devices.charts import calibration_data
from webapp.devices.fitting import calibration_of, spoken_to
from webapp.devices.kit import kit_graphs
from webapp.devices.queries import device_figures
from webapp.devices.targets import own_device_find, own_profile, target_profile

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from compression.calibration import Row
    from compression.cost import DeviceProfile
    from webapp.devices.charts import Calibrated
    from webapp.devices.models import OwnDevice


def evidence_json(*, user: User, name: str) -> dict[str, Any]:
    """Of any device that the user may choose.

    Raises:
        Http404: as ``target_profile`` does.
    """
    profile = target_profile(owner=user, name=name)
    own = own_device_find(owner=user, name=name)
    rows = [
        {"name": row.network, "measured_ms": row.measured_ms, "predicted_ms": row.predicted_ms}
        for row in evidence(name)
    ]
    if own and (found := own_evidence(own, user)):
        profile, fit = found
        rows = [
            {
                "name": row.name,
                "measured_ms": row.measured_ms,
                "predicted_ms": row.after_ms,
                "before_ms": row.before_ms,
            }
            for row in fit.rows
        ]
    return {
        "band": list(band(profile)[:2]),
        "rows": rows,
        "figures": [figure._asdict() for figure in device_figures(profile)],
    }


def own_evidence(device: OwnDevice, user: User) -> tuple[DeviceProfile, Calibrated] | None:
    """A user's device as it is told to whoever looks, with what it was calibrated by; nothing before."""
    found = calibration_of(device)
    if found is None:
        return None
    mine = device.owner_id == user.pk
    profile = spoken_to(own_profile(device), "you" if mine else device.owner.username)
    rows = found.rows() if mine else tuple(map(_unnamed, found.rows()))
    return profile, calibration_data(rows, band(profile)[:2])


def _unnamed(row: Row) -> Row:
    """A row for strangers: what its owner's projects are called is the owner's."""
    return row if row.name in kit_graphs() else row._replace(name="A network of its owner")
