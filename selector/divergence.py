"""What a change to the original does to its answers, on the examples that probing uses."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from compression.evaluation import onnx_log_probabilities
from compression.int8_fallback import offered_file
from compression.sensitivity import SharedLogits
from compression.types import NETWORK
from selector.tabulation import finite

if TYPE_CHECKING:
    import numpy as np

    from selector.job import Job
    from selector.layout import Probe


class Divergence:
    """Builds changes and compares answers; what all changes share is computed once."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def of(self, probe: Probe) -> float:
        """KL divergence to the original in nats, reconstructed, not fine-tuned."""
        job = self._job
        changed = job.workbench.build(probe.recipe).network
        if probe.layer == NETWORK:
            file = offered_file(changed, job.calibration, self._x)
            rows = onnx_log_probabilities(file, self._x)
        else:
            rows = self._shared.of(changed)
        return finite(job.form.divergence(self._original, rows))

    @cached_property
    def _x(self) -> np.ndarray:
        return self._job.dataset.search.take(self._job.effort.probe_samples).x

    @cached_property
    def _original(self) -> np.ndarray:
        return onnx_log_probabilities(self._job.model_bytes, self._x)

    @cached_property
    def _shared(self) -> SharedLogits:
        return SharedLogits(self._job.network, self._x)
