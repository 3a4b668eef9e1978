"""How many of a network's values a recipe keeps in memory at once, as far as a study's tables tell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from compression.cost import FEATURES
from compression.suitability import Tensor, peak_elements

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compression.types import LayerProfile
    from selector.pricing import RowState
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray, StudyTables

_ACTIVATIONS = FEATURES.index("activation_elements")


class Peak(NamedTuple):
    """Most elements alive at once; where it is not exact, no more than so many."""

    elements: int
    is_exact: bool


def recipe_peak(
    surrogate: Surrogate,
    config: IntArray,
    start: Tensor,
    layers: Sequence[LayerProfile],
    outputs: Sequence[str],
) -> Peak:
    """The peak of the network that a configuration ``[D]`` makes of the original.

    Exact where layers only get narrower. All that stands inside a rebuilt layer counts as alive together, and
    what led around a removed one as still there.

    Args:
        surrogate: of the study.
        config: the recipe.
        start: the network's input.
        layers: of the original, in the order of running.
        outputs: names of the layers that the network's outputs come from.
    """
    state = surrogate.row_state(config)
    tensors = list(_tensors(surrogate.tables, state, layers, outputs))
    told = all(layer.out_group >= 0 or layer.in_groups for layer in layers)
    same_layers = not (state.structures.any() or state.gone.any())
    return Peak(peak_elements([start, *tensors]), told and same_layers)


def _tensors(
    tables: StudyTables,
    state: RowState,
    layers: Sequence[LayerProfile],
    outputs: Sequence[str],
) -> Iterator[Tensor]:
    """What each layer that is left writes, in order, and at last who takes the outputs."""
    rows = {name: row for row, name in enumerate(tables.layers)}
    kept = _kept(tables, state)
    stands_for: dict[str, str] = {}
    for layer in layers:
        row = rows.get(layer.name)
        reads = tuple(stands_for.get(name, name) for name in layer.reads)
        if row is not None and state.gone[row] and reads:
            stands_for[layer.name] = reads[0]
            continue
        inside = _inside(tables, state, row) if row is not None else 0
        if inside:
            within = f"{layer.name}, inside"
            yield Tensor(within, reads, inside)
            reads = (*reads, within)
        elements = math.ceil(math.prod(layer.out_shape) * _share(layer, kept) - 1e-6)
        yield Tensor(layer.name, reads, elements)
    yield Tensor.reader(stands_for.get(name, name) for name in outputs)


def _kept(tables: StudyTables, state: RowState) -> Array:
    """``[G]`` the share of its channels that each group keeps."""
    leaders = tables.leader_row
    steps = np.where(leaders >= 0, state.outputs[leaders].astype(np.int64), 0)
    widths = tables.widths[np.arange(len(leaders)), steps]
    return np.asarray(widths / np.maximum(tables.widths[:, 0], 1))


def _share(layer: LayerProfile, kept: Array) -> float:
    """How much of its output a layer still writes."""
    if layer.out_group >= 0:
        return float(kept[layer.out_group])
    channels = sum(count for _, count in layer.in_groups)
    if not channels:
        return 1.0
    return sum(float(kept[group]) * count for group, count in layer.in_groups) / channels


def _inside(tables: StudyTables, state: RowState, row: int) -> int:
    """Elements that the operations standing for a row hand to each other: each is written and read once."""
    at = int(state.inputs[row]), int(state.outputs[row])
    moved = tables.features[row, :, *at, _ACTIVATIONS]
    extra = float(moved[state.structures[row]] - moved[0])
    return max(0, math.ceil(extra / 2))
