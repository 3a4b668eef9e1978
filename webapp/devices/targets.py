"""Targets by name: devices of the catalogue, and users' own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

import tomli_w
from django.db.models import Q
from django.http import Http404

from compression.cost import device_names, load_device
from compression.device_profiles import parse_profile, profile_values
from webapp.devices.models import OWN, OwnDevice

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet

    from compression.cost import DeviceProfile

KEPT_PROFILES = 256


def target_profile(*, owner: User, name: object) -> DeviceProfile:
    """The profile of a target that the owner may choose; the same object until it is measured again.

    Raises:
        Http404: for a name that nothing has, a device of somebody else, and one not measured yet.
    """
    if name in device_names():
        return load_device(str(name))
    device = own_device_find(owner=owner, name=name)
    if device is None:
        raise Http404(f"There is no device {name!r}.")
    if not device.profile:
        raise Http404(f"{device.title} has not been measured yet, so it cannot be a target.")
    return own_profile(device)


def target_profiles(*, owner: User) -> list[DeviceProfile]:
    """All that the owner may choose: own and shared devices that were measured, then the catalogue."""
    own = [own_profile(device) for device in visible(owner).exclude(profile="")]
    return [*own, *(load_device(name) for name in device_names())]


def prior_choices() -> list[DeviceProfile]:
    """The devices of the catalogue that one's own may start from."""
    found = map(load_device, device_names())
    return [device for device in found if not device.measured_here]


def visible(owner: User) -> QuerySet[OwnDevice]:
    """The owner's devices, and those that others share."""
    return OwnDevice.objects.filter(Q(owner=owner) | Q(shared=True))


def own_device_find(*, owner: User, name: object) -> OwnDevice | None:
    """The device of that name that the owner may see."""
    if not isinstance(name, str) or not name.startswith(OWN):
        return None
    try:
        key = UUID(name.removeprefix(OWN))
    except ValueError:
        return None
    return visible(owner).filter(pk=key).first()


def is_own(name: str) -> bool:
    return name.startswith(OWN)


def own_profile(device: OwnDevice) -> DeviceProfile:
    """The calibrated profile; the caller knows that there is one."""
    return _profile(device.key, device.profile)


def profile_text(profile: DeviceProfile) -> str:
    """The profile as a file of the catalogue would hold it."""
    return tomli_w.dumps(profile_values(profile))


@lru_cache(maxsize=KEPT_PROFILES)
def _profile(name: str, text: str) -> DeviceProfile:
    return parse_profile(name, text)
