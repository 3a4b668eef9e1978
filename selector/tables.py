"""What a study measured about a network, as arrays: all that any later answer needs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
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

PRECISIONS = (Precision.FP32, Precision.INT8_WEIGHTS, Precision.INT8)
"""The order of every precision axis."""

BYTES_A_WEIGHT = (4.0, 1.0)
"""Bytes a weight takes in memory, in float and in 8-bit arithmetic."""

GLOBAL_POOLING = "global_average_pooling"
"""The structure that replaces the head; the later rows of the head vanish with it."""


class Structure(NamedTuple):
    """One way to build a layer: a technique with its level, or ``keep``."""

    technique: str
    params: Params


KEEP = Structure("keep", {})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyTables:
    """Costs and sensitivities of every row (layer that costs anything) under every local change.

    ``L`` rows in topological order, ``S`` structures a row (padded), ``G`` channel groups, ``W``
    width steps. The cost axes ``[L, S, Wi, Wo]`` are row, structure, width step of the input and of
    the output; a row that reads several groups has a fractional input step and is interpolated.
    Padding and combinations that cannot be hold zeros and are masked.

    Attributes:
        layers: names of the rows.
        kinds: what each row is.
        structures: per row, index 0 is ``KEEP``; shorter tuples than ``S`` are padded by the mask.
        widths: ``[G, W]`` channels kept at each step.
        in_share: ``[L, G]`` share of the row's input channels by group; rows sum to 1.
        out_group: ``[L]`` group of the row's output.
        leader_row: ``[G]`` row on which the group's width is decided, -1 where it cannot change.
        features: ``[L, S, Wi, Wo, 9]``, see ``compression.cost.FEATURES``.
        host_ms: ``[2, L, S, Wi, Wo]`` milliseconds here, in fp32 and in int8.
        host_offset_ms: ``[2]`` milliseconds that a whole network takes besides its rows.
        host_fetch: ``[2, 2]`` bytes of weights that stay in the caches from call to call, and
            milliseconds that each byte beyond them takes to fetch, in fp32 and in int8.
        host_band: share by which 9 in 10 predictions of host time are off at the most.
        macs: ``[L, S, Wi, Wo]``; likewise ``params`` and ``n_ops`` (nodes of the exported file).
        weight_bytes: ``[2, L, S, Wi, Wo]`` bytes of the weights in fp32, and in int8 with scales.
        base_file_bytes: size of the base as we export it in fp32.
        op_bytes: ``[3]`` bytes of the file that one weighted op takes besides its weights, by
            precision (8-bit nodes bring scales' names and (de)quantising nodes with them).
        kl_structure: ``[L, S]`` KL to the original in nats after that one change, reconstructed.
        kl_width: ``[G, W]`` the same for narrowing a group.
        kl_precision: ``[3]`` the same for the precision of the whole network.
        mask_structure: ``[L, S]`` whether the change may be chosen; index 0 always may.
        mask_width: ``[G, W]``; mask_precision: ``[3]``.
        head_row: first dense row of the head, where ``GLOBAL_POOLING`` is offered; -1 for none.
        head_rows: ``[L]`` the *later* rows that vanish when it is chosen.
        meta: JSON-able facts about the base; ``accuracy`` (0..1) and ``n_classes`` at least, and
            ``host_latency_ms`` with its ``p50`` once the base was timed.
    """

    layers: tuple[str, ...]
    kinds: tuple[LayerKind, ...]
    structures: tuple[tuple[Structure, ...], ...]
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
    kl_precision: Array
    mask_structure: BoolArray
    mask_width: BoolArray
    mask_precision: BoolArray
    head_row: int
    head_rows: BoolArray
    host_band: float
    host_fetch: Array = field(default_factory=lambda: np.zeros((2, 2)))
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
        if any(not row or row[0].technique != KEEP.technique for row in self.structures):
            raise ValueError("structures: the first one of every row must be 'keep'")
        if not (self.mask_structure[:, 0].all() and self.mask_precision[0]):
            raise ValueError("the masks forbid leaving the network as it is")

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        n_rows, n_groups, n_widths = len(self.layers), len(self.leader_row), len(WIDTH_STEPS)
        n_structures = max(len(row) for row in self.structures)
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
            "macs": cost,
            "params": cost,
            "n_ops": cost,
            "weight_bytes": (2, *cost),
            "op_bytes": (len(PRECISIONS),),
            "kl_structure": cost[:2],
            "kl_width": (n_groups, n_widths),
            "kl_precision": (len(PRECISIONS),),
            "mask_structure": cost[:2],
            "mask_width": (n_groups, n_widths),
            "mask_precision": (len(PRECISIONS),),
            "head_rows": (n_rows,),
        }

    def save(self, path: Path) -> None:
        """Write everything to one ``.npz`` without pickled objects."""
        facts = {
            "layers": list(self.layers),
            "kinds": [kind.value for kind in self.kinds],
            "structures": [
                [[s.technique, dict(s.params)] for s in row] for row in self.structures
            ],
            "base_file_bytes": self.base_file_bytes,
            "head_row": self.head_row,
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
            structures=tuple(
                tuple(Structure(technique, params) for technique, params in row)
                for row in facts["structures"]
            ),
            base_file_bytes=int(facts["base_file_bytes"]),
            head_row=int(facts["head_row"]),
            host_band=float(facts["host_band"]),
            meta=facts["meta"],
            **arrays,
        )


_NOT_ARRAYS = {
    *("layers", "kinds", "structures", "base_file_bytes"),
    *("head_row", "host_band", "meta"),
}
_ARRAYS = tuple(f.name for f in fields(StudyTables) if f.name not in _NOT_ARRAYS)
