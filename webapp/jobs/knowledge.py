"""What a study found, read from its folder: facts, and the policy loaded once. NumPy only."""

from __future__ import annotations

import json
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from compression.cost import load_device
from compression.device_profiles import read_profile
from compression.technique_names import title_of
from compression.types import Stage
from selector.classic_actions import THE_TEN
from selector.jobfolder import SO_FAR, JobFolder
from selector.request import PROFILE_SUFFIX
from selector.study import (
    load_policy,
    load_surrogate,
    prediction_check,
    validated_candidates,
)
from selector.surrogate import Validated
from webapp.jobs import folders
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from uuid import UUID

    from compression.cost import DeviceProfile
    from selector.policy import Policy
    from selector.surrogate import Surrogate
    from webapp.jobs.models import Job

OUTDATED = (
    "This study was made by another version of AdaDeep and cannot be read. "
    "Study the model again; finished builds stay as they are."
)

V = TypeVar("V")

CACHED_STUDIES, KEPT_PROFILES = 8, 64


def is_done(job: Job, stage: Stage) -> bool:
    """Whether the stage has left its result."""
    return JobFolder(job.folder).is_done(stage)


def has_policy(job: Job) -> bool:
    """Whether the sliders can be answered: from the end of PROBE on, by the shipped agent at first."""
    return is_done(job, Stage.PROBE)


def inspection(job: Job) -> dict[str, Any] | None:
    """The model as INSPECT described it, with ``baseline`` and ``preprocessing``."""
    if not is_done(job, Stage.INSPECT):
        return None
    return _inspection(job.folder)


def surrogate(job: Job) -> Surrogate | None:
    """The predictions, from the end of PROBE on.

    Raises:
        RequestRefusedError: when another version of the engine wrote them.
    """
    if not is_done(job, Stage.PROBE):
        return None
    with _readable():
        return _surrogate(job)


def policy(job: Job) -> Policy:
    """The policy; the caller knows that it is there.

    Raises:
        RequestRefusedError: when another version of the engine wrote it.
    """
    with _readable():
        return _policy(job)


def target_of(job: Job) -> DeviceProfile:
    """The device of the job; a user's own as it was known when the job was made.

    Raises:
        CompressionError: when no profile tells of it any more.
    """
    path = job.folder / f"{job.target}{PROFILE_SUFFIX}"
    if path.is_file() and not path.is_symlink():
        return _kept_profile(path)
    return load_device(job.target)


def validated(job: Job) -> list[dict[str, Any]]:
    """The candidates that were built for real."""
    return validated_candidates(JobFolder(job.folder))


def check_text(job: Job) -> str:
    """In words, how far predictions of built candidates were off; empty before there are any."""
    check = prediction_check(JobFolder(job.folder))
    return check.sentence if check else ""


def techniques_json(inspected: dict[str, Any]) -> dict[str, Any]:
    """What pages say of each technique; a study of an older version knows no scopes and notes."""
    known = inspected["techniques"]
    return {
        name: {
            "title": title_of(name),
            **{key: facts[key] for key in ("letter", "token")},
            **{key: facts.get(key, "") for key in ("scope", "note", "paper")},
            "labels": [each.label for each in THE_TEN if each.technique == name],
        }
        for name, facts in known.items()
    }


def baseline_json(
    inspected: dict[str, Any], surrogate: Surrogate, target: DeviceProfile
) -> dict[str, Any]:
    """What the original costs on the target, and what its accuracy is: of labels, or agreement."""
    metrics = surrogate.baseline(target)
    return {
        "latency_ms": float(metrics.latency_ms),
        "energy_mj": float(metrics.energy_mj),
        "size_bytes": float(metrics.size_bytes),
        "accuracy": inspected["baseline"]["accuracy"],
        "accuracy_kind": inspected["baseline"]["accuracy_kind"],
    }


def bands_json(surrogate: Surrogate, target: DeviceProfile) -> dict[str, Any]:
    """How far predictions on the target may be off."""
    latency, energy = surrogate.band(target), surrogate.band(target, "energy")
    is_calibrated = surrogate.model.n_validated > 0
    return {
        "latency": [latency.low, latency.high],
        "energy": [energy.low, energy.high],
        "labels": {
            "latency": latency.label,
            "energy": energy.label,
            "accuracy": "calibrated" if is_calibrated else "rough",
        },
    }


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise RequestRefusedError(OUTDATED, code="study_outdated", status=409) from error


@lru_cache(maxsize=CACHED_STUDIES)
def _inspection(folder: Path) -> dict[str, Any]:
    def read(name: str) -> Any:
        return json.loads((folder / Stage.INSPECT / name).read_text(encoding="utf-8"))

    extra = {name: read(f"{name}.json") for name in ("baseline", "preprocessing")}
    return {**read("inspect.json"), **extra}


class _Newest(Generic[V]):
    """One value a folder, the newest; those least recently asked for go first.

    A study that runs changes every few seconds: a cache of versions would hold little else than its old ones.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[object, V]] = OrderedDict()
        self._turn = Lock()

    def of(self, folder: Path, version: object, load: Callable[[], V]) -> V:
        """The value of that version, loaded unless it is kept."""
        with self._turn:
            if folder in self._kept:
                self._kept.move_to_end(folder)
                kept_version, value = self._kept[folder]
                if kept_version == version:
                    return value
        value = load()
        with self._turn:
            self._kept[folder] = version, value
            self._kept.move_to_end(folder)
            if len(self._kept) > CACHED_STUDIES:
                self._kept.popitem(last=False)
        return value


_surrogates: _Newest[Surrogate] = _Newest()
_policies: _Newest[Policy] = _Newest()


def _surrogate(job: Job) -> Surrogate:
    """Only what was built changes the predictions: validated candidates, and recipes that builds recovered."""
    folder, builds = job.folder, _recovered(job)

    def load() -> Surrogate:
        return load_surrogate(JobFolder(folder), _recoveries(builds))

    return _surrogates.of(folder, (is_done(job, Stage.VALIDATE), _named(builds)), load)


def _recovered(job: Job) -> list[Job]:
    """The study's builds that are through RECOVER, oldest first."""
    return list(job.builds.filter(stages__RECOVER__state="done").order_by("created"))


def _named(builds: Iterable[Job]) -> tuple[UUID, ...]:
    return tuple(build.pk for build in builds)


def _recoveries(builds: Iterable[Job]) -> list[Validated]:
    return [Validated.from_json(row) for row in folders.recoveries(builds)]


@lru_cache(maxsize=KEPT_PROFILES)
def _kept_profile(path: Path) -> DeviceProfile:
    return read_profile(path)


def _policy(job: Job) -> Policy:
    folder, builds = job.folder, _recovered(job)

    def load() -> Policy:
        return load_policy(JobFolder(folder), _surrogate(job), _recoveries(builds))

    return _policies.of(folder, (*_version(job), _named(builds)), load)


def _version(job: Job) -> tuple[bool, bool, int]:
    """What the policy rests on besides builds: with the validated candidates it is another than before."""
    return is_done(job, Stage.VALIDATE), is_done(job, Stage.SEARCH), _so_far_at(job)


def _so_far_at(job: Job) -> int:
    """When a search that is not through had last kept what it found; 0 where there is none."""
    if is_done(job, Stage.SEARCH):
        return 0
    try:
        return (job.folder / Stage.SEARCH.value / SO_FAR).stat().st_mtime_ns
    except FileNotFoundError:
        return 0
