"""What people and their devices do with measurements."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import transaction
from django.http import Http404
from django.utils import timezone

from compression import calibration
from compression.calibration import absurd
from compression.device_profiles import ARITHMETICS
from webapp.devices.fitting import (
    calibration_of,
    described,
    error_after,
    error_before,
    prior_profile,
)
from webapp.devices.models import Means, Measurement, OwnDevice
from webapp.devices.networks import timed
from webapp.devices.targets import own_profile, prior_choices, profile_text
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.contrib.auth.models import User

    from compression.calibration import Calibration

MOST_DEVICES = 100
"""Of one owner."""
LONGEST_TITLE, LONGEST_RUNTIME, LONGEST_NAME = 100, 60, 200
MOST_THREADS = 256
MOST_MEASUREMENTS = 500
"""Of one delivery."""
MOST_RUNS = 2000
"""Of one measurement."""
MOST_KEPT = 5000
"""Measurements of one device."""
LARGEST_ENVIRONMENT = 16 * 1024
LARGEST_ENVIRONMENTS = 1024**2
"""Of one delivery: each of its measurements keeps a copy."""
LONGEST_RUN_MS = 1e12
LONGEST_TEXT = 40
"""Of what stands where a time should be."""


class Run(NamedTuple):
    """One thing that was timed: its name, see ``networks.timed``, and every run after the warm-up."""

    name: str
    runs_ms: Sequence[object]


class Outcome(NamedTuple):
    """What came of a delivery.

    Attributes:
        used: a row for each graph or network of it that counts.
        refused: names that were set aside, each with the reason.
        error_before: half of the times used were off by no more than that share before; ``None`` without any.
        error_after: the same now, each predicted from all others that the device has.
    """

    used: tuple[calibration.Row, ...]
    refused: dict[str, str]
    error_before: float | None
    error_after: float | None


def own_device_create(*, owner: User, **values: Any) -> OwnDevice:
    """A device that is no target until something was measured on it.

    Args:
        owner: whose device it is.
        **values: as ``own_device_checked`` takes them.

    Raises:
        RequestRefusedError: naming the value that cannot be taken, or when the owner has too many.
    """
    return own_device_add(own_device_checked(owner=owner, **values))


def own_device_checked(
    *,
    owner: User,
    title: str,
    prior: str,
    runtime: str,
    threads: int,
    arithmetic: str,
    means: str,
) -> OwnDevice:
    """A device as it may be added; it is not yet.

    Raises:
        RequestRefusedError: naming the value that cannot be taken.
    """
    if prior not in [device.name for device in prior_choices()]:
        raise RequestRefusedError(
            f"{prior!r} is no device of the catalogue to start from. Take the one most like yours."
        )
    if arithmetic not in ARITHMETICS:
        raise RequestRefusedError(
            f"There is no arithmetic {arithmetic!r}. Take {', '.join(ARITHMETICS)}."
        )
    if means not in Means.values:
        raise RequestRefusedError(f"There is no means {means!r}. Take {', '.join(Means)}.")
    if arithmetic == "int8" and means != Means.KIT:
        raise RequestRefusedError(
            f"The {means} times float files as they are. Measure 8-bit arithmetic by a kit."
        )
    if not _is_count(threads, MOST_THREADS):
        raise RequestRefusedError(f"Threads must be 1 to {MOST_THREADS}; got {threads}.")
    return OwnDevice(
        owner=owner,
        title=_words(title, "title", LONGEST_TITLE),
        prior=prior,
        runtime=_words(runtime, "runtime", LONGEST_RUNTIME),
        threads=threads,
        arithmetic=arithmetic,
        means=means,
    )


def own_device_add(device: OwnDevice) -> OwnDevice:
    """Keep a device that was checked.

    Raises:
        RequestRefusedError: when its owner has as many as one may have.
    """
    if OwnDevice.objects.filter(owner=device.owner).count() >= MOST_DEVICES:
        raise RequestRefusedError(
            f"You have {MOST_DEVICES} devices, which is the most. Delete one that you no longer need.",
            code="quota",
            status=409,
        )
    device.save()
    return device


@transaction.atomic
def runs_record(
    *, device: OwnDevice, runs: Sequence[Run], environment: dict[str, Any]
) -> Outcome:
    """Keep what was timed, as it came, and calibrate the device with all that it ever was.

    What cannot be a measurement is kept too, but set aside with the reason. Of a graph that was timed again
    the newest usable measurement counts.

    Raises:
        RequestRefusedError: when this is no delivery at all; nothing is kept then.
    """
    own_device_lock(device)
    _check_size(device, runs, environment)
    new = [_measurement(device, run, environment) for run in runs]
    Measurement.objects.bulk_create(new)
    refused = {row.name: row.refused for row in new if row.refused}
    count = len({row.name for row in new if not row.refused})
    found = calibration_of(device) if count else None
    if found is None:
        return Outcome((), refused, None, None)
    _keep(device, found)
    # In the order of their coming: those of this delivery are the last ones.
    rows = found.rows()[-count:]
    return Outcome(rows, refused, error_before(rows), error_after(rows))


def own_device_share(*, device: OwnDevice, shared: bool) -> None:
    """Let everybody with an account here choose the device, or its owner alone."""
    device.shared = shared
    device.save(update_fields=["shared"])


@transaction.atomic
def own_device_rename(*, device: OwnDevice, title: str) -> None:
    own_device_lock(device)
    device.title = _words(title, "title", LONGEST_TITLE)
    if device.profile:
        device.profile = profile_text(replace(own_profile(device), title=device.title))
    device.save(update_fields=["title", "profile"])


def own_device_delete(*, device: OwnDevice) -> None:
    """Remove a device with its measurements; builds made for it keep its profile."""
    device.delete()


def own_device_lock(device: OwnDevice) -> None:
    """Let nobody else record, rename or ask for a task until this transaction ends, and see what they did.

    Raises:
        Http404: when the device was deleted in the meantime.
    """
    if not OwnDevice.objects.select_for_update().filter(pk=device.pk).exists():
        raise Http404("This device was deleted in the meantime.")
    device.refresh_from_db(fields=["title", "profile", "measured"])


def _check_size(device: OwnDevice, runs: Sequence[Run], environment: dict[str, Any]) -> None:
    if not runs:
        raise RequestRefusedError("There are no measurements in this delivery.")
    if len(runs) > MOST_MEASUREMENTS:
        raise RequestRefusedError(
            f"{len(runs):,} measurements are more than the {MOST_MEASUREMENTS} taken at once."
        )
    if len(runs) + device.measurements.count() > MOST_KEPT:
        raise RequestRefusedError(
            f"{device.title} would hold more than {MOST_KEPT:,} measurements. Make a new device."
        )
    for run in runs:
        if len(run.name) > LONGEST_NAME or len(run.runs_ms) > MOST_RUNS:
            raise RequestRefusedError(
                f"{run.name[:LONGEST_NAME]!r}: names have at most {LONGEST_NAME} letters, "
                f"measurements at most {MOST_RUNS:,} runs; this one has {len(run.runs_ms):,}."
            )
    try:
        size = len(json.dumps(environment, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise RequestRefusedError("The environment is not plain JSON.") from error
    if size > LARGEST_ENVIRONMENT:
        raise RequestRefusedError("The description of the environment is larger than 16 KiB.")
    if size * len(runs) > LARGEST_ENVIRONMENTS:
        raise RequestRefusedError(
            "Each measurement keeps the description of the environment; together these are larger "
            "than 1 MiB. Send fewer measurements at once, or a shorter description."
        )


def _measurement(device: OwnDevice, run: Run, environment: dict[str, Any]) -> Measurement:
    found = Measurement(
        device=device,
        name=run.name,
        title=_printable(run.name),
        runs_ms=[_as_it_came(value) for value in run.runs_ms],
        environment=environment,
    )
    prior = prior_profile(device)
    try:
        what = timed(owner=device.owner, name=run.name, prior=prior)
    except RequestRefusedError as error:
        found.refused = str(error)
        return found
    runs_ms = tuple(map(_milliseconds, run.runs_ms))
    found.title, found.features = what.title, what.features.tolist()
    found.refused = absurd(prior, calibration.Measurement(what.title, what.features, runs_ms))
    return found


def _keep(device: OwnDevice, found: Calibration) -> None:
    device.measured = timezone.now()
    device.profile = profile_text(described(found, device))
    device.save(update_fields=["measured", "profile"])


def _milliseconds(value: object) -> float:
    """The run as a number; NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return math.inf if abs(value) > LONGEST_RUN_MS else float(value)


def _as_it_came(value: object) -> float | str:
    """A run as JSON can hold it."""
    number = _milliseconds(value)
    return number if math.isfinite(number) else str(value)[:LONGEST_TEXT]


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _words(text: object, what: str, most: int) -> str:
    """A text for people: printable, not empty, not long.

    Raises:
        RequestRefusedError: when it is none.
    """
    found = _printable(text) if isinstance(text, str) else ""
    if not found or len(found) > most:
        raise RequestRefusedError(f"The {what} must have 1 to {most} printable letters.")
    return found


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip()
