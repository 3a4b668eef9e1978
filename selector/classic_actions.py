"""What the agents of Classic AdaDeep choose between: the paper's ten techniques, at default levels first."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from compression.types import LayerKind, Params, ParamValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from selector.action_space import ActionSpace
    from selector.tables import Array, BoolArray, IntArray


class PaperTechnique(NamedTuple):
    """One of the ten: its number in the paper, ours that does it, on which layers, its default.

    ``default`` is the level of ``parameter`` in the first phase; where a layer does not offer it, the level
    nearest to ``near`` stands in. Three have no level or only one.
    """

    label: str
    technique: str
    kind: LayerKind
    parameter: str = ""
    default: ParamValue = ""
    near: float = 1.0


THE_TEN = (
    PaperTechnique("W1", "svd", LayerKind.DENSE, "rank_ratio", "n/12", 1 / 12),
    PaperTechnique("W2", "sparse_coding", LayerKind.DENSE, "dictionary_ratio", 1 / 6, 1 / 6),
    # Few weights are that small: where noting the rest costs more, the gentlest level comes nearest.
    PaperTechnique("W3", "magnitude_pruning", LayerKind.DENSE, "sparsity", "below 0.001", 0.05),
    PaperTechnique("C1", "svd", LayerKind.CONV, "rank_ratio", "n/12", 1 / 36),
    # The number of bases is half of break-even at any level; Liu et al. kept less than a tenth.
    PaperTechnique("C2", "sparse_decomposition", LayerKind.CONV, "density", 1 / 10, 1 / 10),
    PaperTechnique("C3", "depthwise_separable", LayerKind.CONV),
    PaperTechnique("C4", "random_sparse", LayerKind.CONV, "connected", 3 / 4, 3 / 4),
    PaperTechnique("L1", "fire", LayerKind.CONV, "squeeze_ratio", 1 / 4, 1 / 4),
    PaperTechnique("L2", "micro_mlp", LayerKind.CONV, "hidden_ratio", 1 / 6, 1 / 6),
    PaperTechnique("L3", "global_average_pooling", LayerKind.DENSE),
)
"""The paper's techniques with the hyperparameters of its first phase."""

LABELS = tuple(each.label for each in THE_TEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the ten on one layer: the decision it makes and the action at each of its levels.

    ``levels`` go from the gentlest to the strongest; ``default`` is the place of the paper's default
    among them, or of the nearest that is offered.
    """

    label: str
    decision: int
    levels: tuple[int, ...]
    default: int


Option = tuple[Choice, ...]
"""What an agent may do to a layer: nothing, one choice, or (when they may be stacked) two."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaperLayer:
    """A layer that an agent is asked about.

    Attributes:
        row: in the study's tables.
        options: by the labels they stand for; leaving it alone is ``()``.
        state: ``[F]`` its description, without its position.
    """

    row: int
    options: Mapping[tuple[str, ...], Option]
    state: Array


def paper_layers(
    space: ActionSpace, mask: BoolArray, kind: LayerKind, *, stacked: bool
) -> list[PaperLayer]:
    """The layers of a kind that hold a choice under a mask ``[D, A]``, in order."""
    found = []
    for row, of_row in enumerate(space.tables.kinds):
        if of_row is kind:
            options = _options(space, mask, row, kind, stacked=stacked)
            if len(options) > 1:
                found.append(PaperLayer(row=row, options=options, state=_state(space, row)))
    return found


def action_labels(layers: Sequence[PaperLayer]) -> list[tuple[str, ...]]:
    """What an agent's outputs stand for: the options of all its layers, leaving alone first."""
    return sorted(
        {labels for layer in layers for labels in layer.options},
        key=lambda labels: [LABELS.index(label) for label in labels],
    )


def is_legal(
    space: ActionSpace, mask: BoolArray, configs: IntArray, layer: PaperLayer
) -> BoolArray:
    """``[B, options]`` which options may follow in configurations ``[B, D]``; the first always may."""
    legal = np.ones((len(configs), len(layer.options)), dtype=np.bool_)
    for n, option in enumerate(layer.options.values()):
        for choice in option:
            allowed = space.legal(configs, choice.decision, mask)
            legal[:, n] &= allowed[:, choice.levels[choice.default]]
    return legal


def _options(
    space: ActionSpace, mask: BoolArray, row: int, kind: LayerKind, *, stacked: bool
) -> dict[tuple[str, ...], Option]:
    choices = [
        choice
        for each in THE_TEN
        if each.kind is kind
        for d in np.flatnonzero(space.rows == row).tolist()
        for choice in _choices(space, mask, d, each)
    ]
    options: list[Option] = [(), *((choice,) for choice in choices)]
    if stacked:
        pairs = itertools.combinations(choices, 2)
        options += [(a, b) for a, b in pairs if a.decision != b.decision]
    return {tuple(choice.label for choice in option): option for option in options}


def _choices(
    space: ActionSpace, mask: BoolArray, decision: int, wanted: PaperTechnique
) -> Iterable[Choice]:
    """The technique among a decision's actions, alone and where the mask allows it; at most once."""
    levels = {
        int(index): found[wanted.technique]
        for index in np.flatnonzero(mask[decision])
        if (found := space.techniques(decision, int(index))).keys() == {wanted.technique}
    }
    if levels:
        distances = [_distance(params, wanted) for params in levels.values()]
        yield Choice(
            label=wanted.label,
            decision=decision,
            levels=tuple(levels),
            default=int(np.argmin(distances)),
        )


def _distance(offered: Params, wanted: PaperTechnique) -> float:
    """How far a level is from the default: nothing for itself, else the log of a factor."""
    level = offered.get(wanted.parameter, wanted.default)
    if level == wanted.default:
        return 0.0
    return math.inf if isinstance(level, str) else abs(math.log(level / wanted.near))


def _state(space: ActionSpace, row: int) -> Array:
    """``[5]`` logs of a layer's channels in and out, weights a pair of them, positions and elements.

    Kernel, stride and padding are in it as far as they show: in weights a pair, positions, elements.
    """
    tables = space.tables
    reads = np.flatnonzero(tables.in_share[row] > 0)
    channels_in = max(1.0, float(tables.widths[reads, 0].sum()))
    channels_out = float(tables.widths[tables.out_group[row], 0])
    params, macs = float(tables.params[row, 0, 0, 0]), float(tables.macs[row, 0, 0, 0])
    elements = float(tables.features[row, 0, 0, 0, 6])
    facts = (
        channels_in,
        channels_out,
        params / (channels_in * channels_out),
        macs / params,
        elements,
    )
    return np.log2(np.maximum(facts, 1.0)) / 10.0
