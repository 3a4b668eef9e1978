"""What recipes are in the eyes of Classic AdaDeep: ``A, E, T, S`` as predicted or as the paper counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from compression.analytic_cost import AnalyticCounts, energy_mj, latency_macs, storage_bits
from compression.types import Precision
from selector.cell_prices import MACS, PARAMS, SIZE
from selector.classic_settings import ClassicSettings, View
from selector.pricing import CostTables
from selector.reward import BUDGET_NAMES, quantities
from selector.tables import PRECISIONS

if TYPE_CHECKING:
    from selector.selection import Prepared
    from selector.tables import Array, IntArray, StudyTables

OF_BUDGETS = tuple(
    BUDGET_NAMES.index(name) for name in ("max_energy_mj", "max_latency_ms", "max_size_bytes")
)
"""Where ``E, T, S`` stand among the product's quantities and limits."""

UNITS = {View.DEVICE: ("mJ", "ms", "bytes"), View.ANALYTIC: ("analytic mJ", "MACs", "bits")}
"""Of ``E, T, S`` in each view."""

_ELEMENTS = 6  # of a row's features: activations read and written
_BYTES_A_WEIGHT = 4.0


class Figures:
    """``A, E, T, S`` of configurations, in the figures of one view.

    Device: the share answered right, and mJ, ms and bytes of the file as predicted for the target.
    Analytic: mJ, multiply-adds and bits as the paper counts them (``compression.analytic_cost``);
    weights count ``weight_bits`` each even where a lock asks for a lower precision.
    """

    def __init__(self, prepared: Prepared, settings: ClassicSettings) -> None:
        self._prepared, self._settings = prepared, settings
        surrogate = prepared.question.surrogate
        self._accuracy = float(surrogate.tables.meta.get("accuracy", 1.0))
        counted = _counting(surrogate.tables, indices=settings.count_indices)
        target = (prepared.question.target,)
        self._counts = CostTables(counted, surrogate.space, target)

    def of(self, configs: IntArray) -> Array:
        """``[B, 4]`` of configurations ``[B, D]``."""
        surrogate = self._prepared.question.surrogate
        totals = self._prepared.costs.totals(configs)
        values = quantities(surrogate, totals)
        accuracy = self._accuracy - values[:, 0] / 100.0
        if self._settings.view is View.ANALYTIC:
            return np.stack([accuracy, *self.analytic(configs)], axis=1)
        return np.concatenate([accuracy[:, None], values[:, list(OF_BUDGETS)]], axis=1)

    def analytic(self, configs: IntArray) -> tuple[Array, Array, Array]:
        """``[B]`` each: energy in mJ, latency in MACs and storage in bits, by the paper's count."""
        in_float = configs.copy()
        in_float[:, -1] = 0
        totals = self._counts.totals(in_float)
        counts = AnalyticCounts(
            totals[:, MACS], totals[:, SIZE] / _BYTES_A_WEIGHT, totals[:, PARAMS]
        )
        constants = self._settings.analytic
        return (
            energy_mj(counts, constants),
            latency_macs(counts),
            storage_bits(counts, constants),
        )


def _counting(tables: StudyTables, *, indices: bool) -> StudyTables:
    """Tables whose sums are counts: stored weights for bytes (4 each), activations for parameters.

    A tensor is written once and read once, so that half of what is read and written are activations.
    Places of weights are told from weights by half precision, which halves the weights alone.
    """
    bytes_ = tables.weight_bytes[0]
    if not indices:
        halved = PRECISIONS.index(Precision.FP16_WEIGHTS)
        bytes_ = 2.0 * (bytes_ - tables.weight_bytes[halved])
    return replace(
        tables,
        params=tables.features[..., _ELEMENTS] / 2.0,
        weight_bytes=np.broadcast_to(bytes_, tables.weight_bytes.shape),
        n_ops=np.zeros_like(tables.n_ops),
        base_file_bytes=int(bytes_[0, :, 0, 0, 0].sum()),
    )
