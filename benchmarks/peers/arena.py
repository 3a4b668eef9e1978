"""What every peer gets: the original, calibration examples, and the fine-tuning that our own candidates get."""

from __future__ import annotations

import io
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import onnx

from benchmarks.task import WORK
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from selector.engine import job_of
from selector.jobfolder import JobFolder
from selector.reporter import Reporter
from selector.trial import TrialRun

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from selector.job import Job


class Offer(NamedTuple):
    """One way of a tool: what it does, in words, and the call that makes the file."""

    text: str
    make: Callable[[], bytes]


class Arena:
    """A study of the product whose data, split and effort the peers share."""

    def __init__(self, name: str, seed: int) -> None:
        folder = JobFolder(WORK / name / f"study-{seed}")
        self.job: Job = job_of(folder, Reporter(stream=io.StringIO()))
        self.seed = seed
        self._made: dict[str, bytes] = {}

    @property
    def model(self) -> bytes:
        """The original's file."""
        return self.job.model_bytes

    @cached_property
    def calibration(self) -> np.ndarray:
        """Model-ready examples, the same that the product calibrates with."""
        return self.job.calibration

    @property
    def budget(self) -> str:
        """The fine-tuning in words."""
        effort = self.job.effort
        return f"distilled {effort.recovery_steps} x {effort.batch_size}"

    @cached_property
    def trials(self) -> TrialRun:
        """Builds and scores recipes on the search examples."""
        return TrialRun(self.job)

    def recovered(self, pruned: bytes) -> bytes:
        """The pruned network after the product's own fine-tuning from the original, as a float file."""
        network = import_onnx(pruned, name="peer")
        tuned = self.trials.recovered(network, self.job.effort.recovery_steps, _go_on)
        return export_onnx(tuned, self.calibration[:16])

    def once(self, key: str, make: Callable[[], bytes]) -> bytes:
        """What ``make`` gives, kept for the ways that start from it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def by_files(model: bytes, convert: Callable[[Path, Path], None]) -> bytes:
    """For tools that know paths alone: from one file to another; weights that lie beside it come inside."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        source.write_bytes(model)
        convert(source, target)
        data: bytes = onnx.load(target).SerializeToString()
        return data


def _go_on(_step: int, _total: int, _values: dict[str, float]) -> bool:
    return True
