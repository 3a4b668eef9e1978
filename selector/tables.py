"""What a study measured about a network, as arrays: all that any later answer needs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compression.cost import FEATURES
from compression.types import LayerKind, Params, Precision

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

WIDTH_STEPS = (0.0, 0.25, 0.5, 0.75, 0.875)
"""The pruning ratios of the width axis; step 0 is the full width."""

PRECISIONS = tuple(Precision)
"""The order of every precision axis; the first is the network as it came."""

BYTES_A_WEIGHT = (4.0, 1.0)
"""Bytes a weight takes in memory, in float and in 8-bit arithmetic."""


class Treatment(NamedTuple):
    """A technique with its level."""

    technique: str
    params: Params


Structure = tuple[Treatment, ...]
"""One way to build a layer: treatments one upon the other."""

KEEP: Structure = ()

KEPT = "keep"
"""What recipes, locks and tiles call a layer that is left as it is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyTables:
    """Costs and sensitivities of every row (layer that costs anything) under every local change.

    ``L`` rows in topological order, ``S`` structures a row (padded), ``V`` ways to thin its weights
    (padded), ``G`` channel groups, ``W`` width steps, ``P`` precisions. The cost axes
    ``[L, S, Wi, Wo]`` are row, structure, width step of the input and of the output; a row that reads
    several groups has a fractional input step and is interpolated.
    Padding and combinations that cannot be hold zeros and are masked.

    Attributes:
        layers: names of the rows.
        kinds: what each row is.
        structures: per row, index 0 is ``KEEP``; shorter tuples than ``S`` are padded by the mask.
        thinnings: per row, what may be done to the weights of whatever stands for it; 0 is ``KEEP``.
        precision_steps: ``[P]`` what a recipe says for each of ``PRECISIONS``; 0 is ``KEEP``.
        removes: ``[L, S, L]`` which rows are gone when a row takes a structure; its own among them
            where nothing is left of it.
        fixes_width: ``[L, S]`` whether a structure leaves no width of the row's own to choose.
        widths: ``[G, W]`` channels kept at each step.
        in_share: ``[L, G]`` share of the row's input channels by group; rows sum to 1.
        out_group: ``[L]`` group of the row's output.
        leader_row: ``[G]`` row on which the group's width is decided, -1 where it cannot change.
        features: ``[L, S, Wi, Wo, 9]``, see ``compression.cost.FEATURES``.
        host_ms: ``[2, L, S, Wi, Wo]`` milliseconds here, in fp32 and in int8.
        host_offset_ms: ``[2]`` milliseconds that a whole network takes besides its rows.
        host_fetch: ``[2, 2]`` bytes of weights that stay in the caches from call to call, and
            milliseconds that each byte beyond them takes to fetch, in fp32 and in int8.
        host_cold: ``[2, 9]`` milliseconds that one of each feature takes longer in a network whose
            weights push one another out of the caches.
        host_band: share by which 9 in 10 predictions of host time are off at the most.
        macs: ``[L, S, Wi, Wo]``; likewise ``params`` and ``n_ops`` (nodes of the exported file).
        weight_bytes: ``[P, V, L, S, Wi, Wo]`` bytes of the weights, with scales, books and indices.
        base_file_bytes: size of the base as we export it in fp32.
        op_bytes: ``[P]`` bytes of the file that one weighted op takes besides its weights
            (8-bit nodes bring scales' names and (de)quantising nodes with them).
        kl_structure: ``[L, S]`` KL to the original in nats after that one change, reconstructed.
        kl_width: ``[G, W]`` the same for narrowing a group.
        kl_thinning: ``[L, V]`` the same for thinning the row as it came.
        kl_precision: ``[P]`` the same for the precision of the whole network.
        pair_cells: ``[N, 4]`` row, thinning, structure and width step (one of the last three is 0) of
            ``N`` pairs of changes to one row; ``kl_pair [N]`` is the KL of each.
        mask_structure: ``[L, S]`` whether the change may be chosen; index 0 always may.
        mask_thinning: ``[L, V]``; mask_width: ``[G, W]``; mask_precision: ``[P]``.
        meta: JSON-able facts about the base; ``accuracy`` (0..1) and ``n_classes`` at least, and
            ``host_latency_ms`` with its ``p50`` once the base was timed.
    """

    layers: tuple[str, ...]
    kinds: tuple[LayerKind, ...]
    structures: tuple[tuple[Structure, ...], ...]
    thinnings: tuple[tuple[Structure, ...], ...]
    precision_steps: tuple[Structure, ...]
    removes: BoolArray
    fixes_width: BoolArray
    widths: IntArray
    in_share: Array
    out_group: IntArray
    leader_row: IntArray
    features: Array
    host_ms: Array
    host_offset_ms: Array
    macs: Array
    params: Array
    n_ops: Array
    weight_bytes: Array
    base_file_bytes: int
    op_bytes: Array
    kl_structure: Array
    kl_width: Array
    kl_thinning: Array
    kl_precision: Array
    mask_structure: BoolArray
    mask_thinning: BoolArray
    mask_width: BoolArray
    mask_precision: BoolArray
    host_band: float
    host_fetch: Array = field(default_factory=lambda: np.zeros((2, 2)))
    host_cold: Array = field(default_factory=lambda: np.zeros((2, len(FEATURES))))
    pair_cells: IntArray = field(default_factory=lambda: np.zeros((0, 4), dtype=np.int64))
    kl_pair: Array = field(default_factory=lambda: np.zeros(0))
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together.

        Raises:
            ValueError: naming the array and the shape it should have.
        """
        for name, shape in self._shapes().items():
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(
                    f"{name} has shape {np.shape(getattr(self, name))}, not {shape}"
                )
        for name in _ARRAYS:
            if not np.all(np.isfinite(getattr(self, name))):
                raise ValueError(f"{name} holds values that are not finite")
        choices = (*self.structures, *self.thinnings, self.precision_steps)
        if any(not row or row[0] != KEEP for row in choices):
            raise ValueError("the first choice everywhere must be to leave things as they are")
        free = self.mask_structure[:, 0].all() and self.mask_thinning[:, 0].all()
        if not (free and self.mask_precision[0]):
            raise ValueError("the masks forbid leaving the network as it is")

    @property
    def known_pairs(self) -> dict[tuple[int, ...], float]:
        """The KL of each pair that was measured, by its cell."""
        return dict(
            zip(map(tuple, self.pair_cells.tolist()), self.kl_pair.tolist(), strict=True)
        )

    def with_pairs(self, pairs: Mapping[tuple[int, ...], float]) -> StudyTables:
        """The same tables with the KL of exactly these pairs."""
        cells = sorted(pairs)
        return replace(
            self,
            pair_cells=np.array(cells, dtype=np.int64).reshape(-1, 4),
            kl_pair=np.array([pairs[cell] for cell in cells]),
        )

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        n_rows, n_groups, n_widths = len(self.layers), len(self.leader_row), len(WIDTH_STEPS)
        n_structures = max(len(row) for row in self.structures)
        n_thinnings = max(len(row) for row in self.thinnings)
        n_precisions = len(PRECISIONS)
        cost = (n_rows, n_structures, n_widths, n_widths)
        return {
            "kinds": (n_rows,),
            "widths": (n_groups, n_widths),
            "in_share": (n_rows, n_groups),
            "out_group": (n_rows,),
            "features": (*cost, len(FEATURES)),
            "host_ms": (2, *cost),
            "host_offset_ms": (2,),
            "host_fetch": (2, 2),
            "host_cold": (2, len(FEATURES)),
            "macs": cost,
            "params": cost,
            "n_ops": cost,
            "weight_bytes": (n_precisions, n_thinnings, *cost),
            "op_bytes": (n_precisions,),
            "kl_structure": cost[:2],
            "kl_thinning": (n_rows, n_thinnings),
            "kl_width": (n_groups, n_widths),
            "kl_precision": (n_precisions,),
            "pair_cells": (len(self.kl_pair), 4),
            "kl_pair": (len(self.pair_cells),),
            "mask_structure": cost[:2],
            "mask_thinning": (n_rows, n_thinnings),
            "mask_width": (n_groups, n_widths),
            "mask_precision": (n_precisions,),
            "removes": (*cost[:2], n_rows),
            "fixes_width": cost[:2],
        }

    def save(self, path: Path) -> None:
        """Write everything to one ``.npz`` without pickled objects."""
        facts = {
            "layers": list(self.layers),
            "kinds": [kind.value for kind in self.kinds],
            "structures": [_plain(row) for row in self.structures],
            "thinnings": [_plain(row) for row in self.thinnings],
            "precision_steps": _plain(self.precision_steps),
            "base_file_bytes": self.base_file_bytes,
            "host_band": self.host_band,
            "meta": dict(self.meta),
        }
        arrays = {name: np.asarray(getattr(self, name)) for name in _ARRAYS}
        arrays["facts"] = np.array(json.dumps(facts))
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> StudyTables:
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            arrays = {name: stored[name] for name in _ARRAYS if name in stored}
        return cls(
            layers=tuple(facts["layers"]),
            kinds=tuple(LayerKind(kind) for kind in facts["kinds"]),
            structures=tuple(_structures(row) for row in facts["structures"]),
            thinnings=tuple(_structures(row) for row in facts["thinnings"]),
            precision_steps=_structures(facts["precision_steps"]),
            base_file_bytes=int(facts["base_file_bytes"]),
            host_band=float(facts["host_band"]),
            meta=facts["meta"],
            **arrays,
        )


def _plain(structures: tuple[Structure, ...]) -> list[list[list[Any]]]:
    return [[[t.technique, dict(t.params)] for t in structure] for structure in structures]


def _structures(plain: list[list[list[Any]]]) -> tuple[Structure, ...]:
    return tuple(tuple(Treatment(*treatment) for treatment in row) for row in plain)


_NOT_ARRAYS = {
    *("layers", "kinds", "structures", "thinnings", "precision_steps"),
    *("base_file_bytes", "host_band", "meta"),
}
_ARRAYS = tuple(f.name for f in fields(StudyTables) if f.name not in _NOT_ARRAYS)
