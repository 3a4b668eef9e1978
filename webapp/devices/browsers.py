"""Browsers as devices: what their page is told, and what it sends back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from webapp import browserruntime
from webapp.devices.kit import kit_graphs
from webapp.devices.models import Means, OwnDevice
from webapp.devices.queries import device_row
from webapp.devices.services import Run, own_device_add, own_device_checked, runs_record
from webapp.devices.targets import own_profile, prior_choices
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.contrib.auth.models import User

    from webapp.devices.services import Outcome

_RUNTIME = f"onnxruntime-web {browserruntime.VERSION.rpartition('.')[0]}"
RUNTIMES = {"wasm": f"{_RUNTIME} (WASM)", "webgpu": f"{_RUNTIME} (WebGPU)"}
"""Other runtimes than the catalogue's: what they measure is never shown as native speed."""


class Kind(NamedTuple):
    """A kind of device that a browser may run on, and the device of the catalogue it starts from."""

    name: str
    title: str
    prior: str


# Measured times move every figure of latency, so what a start is chosen for is power and memory: the
# strongest board stands for a computer, the middle of its family for a phone.
KINDS = (
    Kind("computer", "A computer", "jetson-orin-nano"),
    Kind("android", "An Android phone or tablet that is not listed", "sd680-midrange"),
    Kind("apple", "An iPhone or iPad that is not listed", "iphone-13"),
)


def measure_page_json() -> dict[str, Any]:
    """What the page that measures a browser needs besides networks of a project."""
    is_there = browserruntime.is_complete(settings.BROWSER_RUNTIME)
    return {
        "runtime": f"/static/browser-runtime/{browserruntime.VERSION}/" if is_there else None,
        "runs_url": reverse("api-browser-runs"),
        "graphs": [{"name": name, "url": f"/devices/kit/{name}.onnx"} for name in kit_graphs()],
        "kinds": [kind._asdict() for kind in KINDS],
        "catalogue": [
            {"name": row["name"], "title": row["title"], "family": row["family"]}
            for row in map(device_row, prior_choices())
        ],
    }


@transaction.atomic
def browser_measured(
    *, owner: User, values: dict[str, Any], networks: Sequence[str] = ()
) -> tuple[OwnDevice, Outcome]:
    """Keep what a browser timed. The same browser on the same device, measured again, stays one device.

    Args:
        owner: whose device it is.
        values: what the browser sent.
        networks: names that its page offered besides those of the kit.

    Raises:
        RequestRefusedError: when this is no delivery, or nothing in it can be used.
    """
    environment = values.get("environment")
    if not isinstance(environment, dict):
        raise RequestRefusedError("The delivery does not describe the browser's environment.")
    runs = _runs(values, {*kit_graphs(), *networks})
    device = _browser(owner, values)
    outcome = runs_record(device=device, runs=runs, environment=environment)
    if not outcome.used:
        reasons = " ".join(dict.fromkeys(outcome.refused.values()))
        raise RequestRefusedError(f"None of these timings can be used. {reasons}")
    device.refresh_from_db()
    return device, outcome


def measured_json(device: OwnDevice, outcome: Outcome) -> dict[str, Any]:
    """The calibrated device with what the timings just sent were predicted to be, before and now."""
    return {
        "device": device_row(own_profile(device)),
        "url": f"/devices/{device.key}/",
        "rows": [row._asdict() for row in outcome.used],
        "refused": outcome.refused,
        "error_before": outcome.error_before,
        "error_after": outcome.error_after,
    }


def _browser(owner: User, values: dict[str, Any]) -> OwnDevice:
    """The device that was measured before under the same name, else a new one."""
    backend = values.get("backend", "wasm")
    if not isinstance(backend, str) or backend not in RUNTIMES:
        raise RequestRefusedError(
            f"A browser computes by {' or '.join(RUNTIMES)}, not {str(backend)[:40]!r}."
        )
    new = own_device_checked(
        owner=owner,
        title=values.get("title", ""),
        prior=values.get("prior", ""),
        threads=values.get("threads", 0),
        runtime=RUNTIMES[backend],
        arithmetic="fp32",
        means=Means.BROWSER,
    )
    alike = {
        key: getattr(new, key) for key in ("title", "prior", "threads", "runtime", "means")
    }
    return OwnDevice.objects.filter(owner=owner, **alike).first() or own_device_add(new)


def _runs(values: dict[str, Any], offered: set[str]) -> list[Run]:
    rows = values.get("runs")
    if not isinstance(rows, list) or not all(map(_is_run, rows)):
        raise RequestRefusedError("Each timing must have a name and a list of runs.")
    for row in rows:
        if row["name"] not in offered:
            raise RequestRefusedError(f"This page offered no network {row['name'][:80]!r}.")
    return [Run(row["name"], row["runs_ms"]) for row in rows]


def _is_run(row: object) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("name"), str)
        and isinstance(row.get("runs_ms"), list)
    )
