"""Whether the time left that a job shows proves right: ``python -m benchmarks.eta [SAMPLE ...]``.

Starts AdaDeep with an empty data folder. For each sample a study and two builds are made, one job at a time, and
the range that the job page shows is read every two seconds. When the job has ended, each reading is held against
the time that was left in truth, as long as that was 20 seconds or more. Prints what is shown whenever another stage
begins, a line a job and one for all: how many readings, how many of them within 30 % of the truth, in how many the
truth lay inside the range shown, and the worst; then the same without the first tenth of each job, in which little is known.
Of each stage it says how far off its readings were in the middle, so that it shows which estimate to mend.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import httpx

from tests.e2e import product

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_EVERY_S = 2.0
LEAST_LEFT_S = 20.0
EARLY = 0.1
"""Share of a job in which its estimate may still be a guess."""
WITHIN = 0.3
SAMPLES = ("digits", "motion")
TARGETS = ("this-host", "rpi4")
ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class Reading:
    """What a page showed in a stage, in seconds, and what was left in truth."""

    stage: str
    low_s: float
    high_s: float
    left_s: float
    share: float
    """Of the job's time that had passed."""

    @property
    def off(self) -> float:
        """How far the middle of the estimate was from the truth, as a share of it."""
        return (self.low_s + self.high_s) / 2 / self.left_s - 1

    @property
    def is_right(self) -> bool:
        """Whether the middle of the estimate was within 30 % of the truth."""
        return abs(self.off) <= WITHIN

    @property
    def is_inside(self) -> bool:
        """Whether the truth lay inside the range."""
        return self.low_s <= self.left_s <= self.high_s


def watch(client: httpx.Client, job: str) -> list[Reading]:
    """The readings of a job until it has ended."""
    began = time.monotonic()
    shown: list[tuple[str, float, float, float]] = []
    stage = ""
    while (found := _asked(client, f"/api/jobs/{job}"))["state"] in ACTIVE:
        if found["eta"] and found["state"] == "running":
            low_s, high_s = found["eta"]["low_s"], found["eta"]["high_s"]
            shown.append((found["stage"], time.monotonic(), low_s, high_s))
            if stage != found["stage"]:
                stage = found["stage"]
                at_s = time.monotonic() - began
                print(f"{at_s:.0f} s, {stage}: {low_s:.0f} to {high_s:.0f} s", flush=True)
        time.sleep(LOOK_EVERY_S)
    ended = time.monotonic()
    print(f"{ended - began:.0f} s, {found['state']}", flush=True)
    readings = [
        Reading(stage, low_s, high_s, ended - at, (at - began) / (ended - began))
        for stage, at, low_s, high_s in shown
    ]
    return [reading for reading in readings if reading.left_s >= LEAST_LEFT_S]


def _asked(client: httpx.Client, path: str) -> dict[str, Any]:
    """The answer, asked for again where the connection broke."""
    try:
        return dict(client.get(path).json())
    except httpx.TransportError:
        return dict(client.get(path).json())


def told(name: str, readings: list[Reading]) -> str:
    """A line of the table: all readings, then those after the first tenth of a job."""
    later = [reading for reading in readings if reading.share > EARLY]
    return f"| {name} | {_counted(readings)} | {_counted(later)} |"


def _counted(readings: list[Reading]) -> str:
    if not readings:
        return "0 | | | "
    right = sum(reading.is_right for reading in readings) / len(readings)
    inside = sum(reading.is_inside for reading in readings) / len(readings)
    worst = max((reading.off for reading in readings), key=abs)
    return f"{len(readings)} | {right:.0%} | {inside:.0%} | {worst:+.0%}"


def by_stage(readings: list[Reading]) -> str:
    """The middle of how far off the readings of each stage were."""
    stages = dict.fromkeys(reading.stage for reading in readings)
    offs = {name: [r.off for r in readings if r.stage == name] for name in stages}
    return ", ".join(f"{name} {median(off):+.0%} ({len(off)})" for name, off in offs.items())


def jobs(client: httpx.Client, sample: str) -> Iterator[tuple[str, list[Reading]]]:
    """A study of the sample and two builds, one after the other, each as soon as it has ended."""
    opened = client.post(f"/api/samples/{sample}/open").raise_for_status().json()
    study = client.get(f"/api/projects/{opened['id']}").json()["job"]["id"]
    yield f"{sample}, study", watch(client, study)
    for number, target in enumerate(TARGETS, start=1):
        wanted = {"target": target, "budgets": {"max_accuracy_drop": 1.0}}
        address = f"/api/projects/{opened['id']}/builds"
        build = client.post(address, json=wanted).raise_for_status().json()["job"]
        yield f"{sample}, build {number}", watch(client, build)


def main() -> None:
    """All samples that are named."""
    with tempfile.TemporaryDirectory() as home:
        running = product.start(Path(home) / "adadeep")
        try:
            with httpx.Client(base_url=running.url, timeout=60) as client:
                page = client.get("/").text
                token = page.split('name="csrf-token" content="')[1].split('"')[0]
                client.headers.update({"X-CSRFToken": token, "Origin": running.url})
                every: list[Reading] = []
                for sample in sys.argv[1:] or SAMPLES:
                    for name, readings in jobs(client, sample):
                        every += readings
                        print(by_stage(readings), told(name, readings), sep="\n", flush=True)
                print(told("all", every))
        finally:
            running.stop()


if __name__ == "__main__":
    main()
