"""The decisions a recipe is made of, which choices are legal, and the way from indices to recipes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from compression.types import (
    NETWORK,
    Params,
    ParamValue,
    Precision,
    Recipe,
    RecipeStep,
)
from selector.errors import BadRequestError
from selector.tables import GLOBAL_POOLING, PRECISIONS, WIDTH_STEPS, BoolArray, IntArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from selector.tables import StudyTables

PRUNING = "filter_pruning"
INT8 = "int8"
_MODES = {Precision.INT8_WEIGHTS: "weights", Precision.INT8: "full"}


class Action(NamedTuple):
    """One choice: a width step of the layer's group, a structure of the layer, a precision."""

    width: int = 0
    structure: int = 0
    precision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A layer (or ``*``, then ``row`` is -1) and the choices it has; the first changes nothing."""

    layer: str
    row: int
    actions: tuple[Action, ...]


class ActionSpace:
    """Every decision of a network, in topological order, the precision of the whole last.

    A configuration is one action index a decision: an integer array ``[..., D]``; all zeros is the
    network as it came. ``D`` decisions, ``A`` actions (padded, see ``mask``).

    Attributes:
        decisions: the decisions.
        counts: ``[D]`` how many actions each has.
        mask: ``[D, A]`` which actions there are.
        widths: ``[D, A]`` width step of each action; likewise ``structures`` and ``precisions``.
        head: decision where global pooling may replace the head, -1 for none.
        pools: ``[A]`` which actions of that decision do so.
        vanishing: ``[D]`` decisions about layers that are gone when the head is pooled.
    """

    def __init__(self, tables: StudyTables) -> None:
        self.tables = tables
        self.decisions = _decisions(tables)
        self.counts: IntArray = np.array([len(x.actions) for x in self.decisions])
        shape = (len(self.decisions), int(self.counts.max()))
        self.mask: BoolArray = np.zeros(shape, dtype=np.bool_)
        self.widths: IntArray = np.zeros(shape, dtype=np.int64)
        self.structures: IntArray = np.zeros(shape, dtype=np.int64)
        self.precisions: IntArray = np.zeros(shape, dtype=np.int64)
        for d, decision in enumerate(self.decisions):
            count = len(decision.actions)
            self.mask[d, :count] = True
            self.widths[d, :count] = [action.width for action in decision.actions]
            self.structures[d, :count] = [action.structure for action in decision.actions]
            self.precisions[d, :count] = [action.precision for action in decision.actions]
        self.rows: IntArray = np.array([decision.row for decision in self.decisions])
        later = tables.head_rows & (np.arange(len(tables.layers)) != tables.head_row)
        self.vanishing: BoolArray = (self.rows >= 0) & later[self.rows]
        self.head, self.pools = self._head()

    @property
    def n_decisions(self) -> int:
        """The length of a configuration."""
        return len(self.decisions)

    def untouched(self, count: int = 1) -> IntArray:
        """``[count, D]`` copies of the configuration that changes nothing."""
        return np.zeros((count, self.n_decisions), dtype=np.int64)

    def pooled(self, configs: IntArray) -> BoolArray:
        """``[...]`` whether a configuration replaces the head by global pooling."""
        if self.head < 0:
            return np.zeros(configs.shape[:-1], dtype=np.bool_)
        return np.asarray(self.pools[configs[..., self.head]])

    def canonical(self, configs: IntArray) -> IntArray:
        """The same recipes with nothing said about layers that are gone."""
        gone = self.pooled(configs)[..., None] & self.vanishing
        return np.asarray(np.where(gone, 0, configs))

    def legal(self, configs: IntArray, decision: int, mask: BoolArray) -> BoolArray:
        """``[B, A']`` which of its actions may follow at a decision, given ``configs [B, D]``."""
        own = mask[decision, : self.counts[decision]]
        allowed = np.broadcast_to(own, (len(configs), len(own))).copy()
        if self.vanishing[decision]:
            allowed[self.pooled(configs), 1:] = False
        return allowed

    def is_legal(self, configs: IntArray, mask: BoolArray) -> BoolArray:
        """``[B]`` whether every choice is allowed and nothing is said about layers that are gone."""
        chosen = mask[np.arange(self.n_decisions), configs].all(axis=-1)
        return np.asarray(chosen & (self.canonical(configs) == configs).all(axis=-1))

    def count(self, mask: BoolArray) -> int:
        """How many distinct recipes a mask allows."""
        return sum(
            math.prod(len(choices) for choices in branch) for branch in self._branches(mask)
        )

    def enumerate(self, mask: BoolArray, chunk: int = 65_536) -> Iterator[IntArray]:
        """All distinct recipes that a mask allows, in chunks ``[<= chunk, D]``."""
        for branch in self._branches(mask):
            shape = tuple(len(choices) for choices in branch)
            for start in range(0, math.prod(shape), chunk):
                flat = np.arange(start, min(start + chunk, math.prod(shape)))
                index = np.unravel_index(flat, shape)
                columns = [choices[i] for choices, i in zip(branch, index, strict=True)]
                yield np.stack(columns, axis=1)

    def sample(self, mask: BoolArray, count: int, rng: np.random.Generator) -> IntArray:
        """``[count, D]`` recipes, each decision drawn evenly from what the mask allows."""
        draws = np.where(mask, rng.random((count, *mask.shape)), -1.0).argmax(axis=2)
        return self.canonical(draws)

    def decode(self, config: Sequence[int] | IntArray) -> Recipe:
        """The recipe of one configuration; pruning comes before what restructures a layer."""
        return tuple(
            RecipeStep(layer=decision.layer, technique=name, params=level)
            for d, (decision, index) in enumerate(zip(self.decisions, config, strict=True))
            for name, level in self.techniques(d, int(index)).items()
        )

    def encode(self, recipe: Recipe) -> IntArray:
        """``[D]`` the configuration of a recipe.

        Raises:
            BadRequestError: naming the first step that is not among the choices.
        """
        wanted: dict[str, dict[str, Params]] = {}
        for step in recipe:
            wanted.setdefault(step.layer, {})[step.technique] = step.params
        config: IntArray = self.untouched()[0]
        for d, decision in enumerate(self.decisions):
            steps = wanted.pop(decision.layer, {})
            config[d] = self._index(d, steps)
        if wanted:
            raise BadRequestError(f"There is nothing to choose for layer {min(wanted)}.")
        return config

    def techniques(self, decision: int, index: int) -> dict[str, Params]:
        """The techniques of one action with their levels; empty for the one that changes nothing."""
        row, action = self.decisions[decision].row, self.decisions[decision].actions[index]
        found: dict[str, Params] = {}
        if action.width:
            found[PRUNING] = {"pruning_ratio": WIDTH_STEPS[action.width]}
        if action.structure:
            name, level = self.tables.structures[row][action.structure]
            found[name] = level
        if action.precision:
            found[INT8] = {"mode": _MODES[PRECISIONS[action.precision]]}
        return found

    def _index(self, decision: int, wanted: Mapping[str, Params]) -> int:
        layer, actions = self.decisions[decision].layer, self.decisions[decision].actions
        for index in range(len(actions)):
            offered = self.techniques(decision, index)
            if offered.keys() == wanted.keys() and all(
                same_level(offered[name], level) for name, level in wanted.items()
            ):
                return index
        names = " and ".join(sorted(wanted))
        raise BadRequestError(f"Layer {layer} cannot be built with {names} at that level.")

    def _branches(self, mask: BoolArray) -> list[list[IntArray]]:
        choices = [np.flatnonzero(row) for row in mask]
        if self.head < 0:
            return [choices]
        allowed = choices[self.head]
        whole, pooled = list(choices), list(choices)
        whole[self.head] = allowed[~self.pools[allowed]]
        pooled[self.head] = allowed[self.pools[allowed]]
        for d in np.flatnonzero(self.vanishing):
            pooled[d] = choices[d][choices[d] == 0]
        return [whole, pooled]

    def _head(self) -> tuple[int, BoolArray]:
        pools = np.zeros(self.mask.shape[1], dtype=np.bool_)
        found = np.flatnonzero((self.rows == self.tables.head_row) & (self.rows >= 0))
        if not len(found):
            return -1, pools
        head = int(found[0])
        for index, action in enumerate(self.decisions[head].actions):
            structure = self.tables.structures[self.tables.head_row][action.structure]
            pools[index] = structure.technique == GLOBAL_POOLING
        return head, pools


def same_level(offered: Params, wanted: Params) -> bool:
    """Whether an offered level is the wanted one; what is not asked for may be anything."""
    return all(
        name in offered and _same(offered[name], value) for name, value in wanted.items()
    )


def _same(offered: ParamValue, wanted: ParamValue) -> bool:
    if isinstance(offered, str) or isinstance(wanted, str):
        return offered == wanted
    return math.isclose(offered, wanted, abs_tol=1e-6)


def _decisions(tables: StudyTables) -> tuple[Decision, ...]:
    found = []
    for row, layer in enumerate(tables.layers):
        structures = [
            s for s in range(len(tables.structures[row])) if tables.mask_structure[row, s]
        ]
        actions = tuple(
            Action(width=width, structure=structure)
            for width in _width_steps(tables, row)
            for structure in structures
            if not width or tables.structures[row][structure].technique != GLOBAL_POOLING
        )
        if len(actions) > 1:
            found.append(Decision(layer=layer, row=row, actions=actions))
    legal = np.flatnonzero(tables.mask_precision)
    whole = tuple(Action(precision=int(precision)) for precision in legal)
    return (*found, Decision(layer=NETWORK, row=-1, actions=whole))


def _width_steps(tables: StudyTables, row: int) -> list[int]:
    """The steps that really differ: a narrow group reaches its least width before the last step."""
    group = int(tables.out_group[row])
    if tables.leader_row[group] != row:
        return [0]
    steps, seen = [0], {int(tables.widths[group, 0])}
    for step in range(1, len(WIDTH_STEPS)):
        width = int(tables.widths[group, step])
        if tables.mask_width[group, step] and width not in seen:
            steps.append(step)
            seen.add(width)
    return steps
