"""The decisions a recipe is made of, which choices are legal, and the way from indices to recipes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from compression.types import NETWORK, Params, ParamValue, Recipe, RecipeStep
from selector.errors import BadRequestError
from selector.removal import Removals
from selector.tables import WIDTH_STEPS, BoolArray, IntArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from selector.tables import StudyTables

PRUNING = "filter_pruning"


class Action(NamedTuple):
    """One choice: a width step of the layer's group, a structure, a thinning, a precision."""

    width: int = 0
    structure: int = 0
    thinning: int = 0
    precision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A layer (or ``*``, then ``row`` is -1) and the choices it has; the first changes nothing.

    What a layer is built as, how wide, and how its weights are thinned are decisions of their own: each is
    priced exactly given the others, and there are as many prices as choices, not as combinations.
    """

    layer: str
    row: int
    actions: tuple[Action, ...]

    @property
    def builds(self) -> bool:
        """Whether it is about what stands for the layer."""
        return self.actions[-1].structure > 0

    @property
    def narrows(self) -> bool:
        """Whether it is about the width of the layer's group."""
        return self.actions[-1].width > 0

    @property
    def thins(self) -> bool:
        """Whether it is about the weights alone."""
        return self.actions[-1].thinning > 0


class ActionSpace:
    """Every decision of a network, in topological order, the precision of the whole last.

    A configuration is one action index a decision: an integer array ``[..., D]``; all zeros is the
    network as it came. ``D`` decisions, ``A`` actions (padded, see ``mask``), ``L`` rows.

    Attributes:
        decisions: the decisions.
        counts: ``[D]`` how many actions each has.
        mask: ``[D, A]`` which actions there are.
        widths: ``[D, A]`` width step of each action; likewise ``structures``, ``thinnings`` and
            ``precisions``.
        rows: ``[D]`` the row that each is about, -1 for the whole network.
        removals: which choices take which rows out.
    """

    def __init__(self, tables: StudyTables) -> None:
        self.tables = tables
        self.decisions = _decisions(tables)
        self.counts: IntArray = np.array([len(x.actions) for x in self.decisions])
        shape = (len(self.decisions), int(self.counts.max()))
        self.mask: BoolArray = np.zeros(shape, dtype=np.bool_)
        axes: IntArray = np.zeros((len(Action._fields), *shape), dtype=np.int64)
        for d, decision in enumerate(self.decisions):
            self.mask[d, : len(decision.actions)] = True
            axes[:, d, : len(decision.actions)] = np.array(decision.actions).T
        self.widths, self.structures, self.thinnings, self.precisions = axes
        self.rows: IntArray = np.array([decision.row for decision in self.decisions])
        self.removals = Removals.of(
            tables.removes, self.rows, self.structures, self._settled_widths()
        )

    @property
    def n_decisions(self) -> int:
        """The length of a configuration."""
        return len(self.decisions)

    def untouched(self, count: int = 1) -> IntArray:
        """``[count, D]`` copies of the configuration that changes nothing."""
        return np.zeros((count, self.n_decisions), dtype=np.int64)

    def canonical(self, configs: IntArray) -> IntArray:
        """The same recipes with nothing said about layers that are gone."""
        return self.removals.silenced(configs)

    def legal(self, configs: IntArray, decision: int, mask: BoolArray) -> BoolArray:
        """``[B, A']`` which of its actions may follow at a decision, given ``configs [B, D]``."""
        own = mask[decision, : self.counts[decision]]
        allowed = np.broadcast_to(own, (len(configs), len(own))).copy()
        allowed[self.removals.is_gone(configs, decision), 1:] = False
        return allowed

    def is_legal(self, configs: IntArray, mask: BoolArray) -> BoolArray:
        """``[B]`` whether every choice is allowed and nothing is said about layers that are gone."""
        chosen = mask[np.arange(self.n_decisions), configs].all(axis=-1)
        return np.asarray(chosen & (self.canonical(configs) == configs).all(axis=-1))

    def count(self, mask: BoolArray) -> int:
        """How many distinct recipes a mask allows."""
        return math.prod(
            sum(math.prod(len(choices) for choices in branch.values()) for branch in part)
            for part in self.removals.branches(mask)
        )

    def enumerate(self, mask: BoolArray, chunk: int = 65_536) -> Iterator[IntArray]:
        """All distinct recipes that a mask allows, in chunks ``[<= chunk, D]``."""
        for branch in self.removals.products(mask):
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
        """The recipe of one configuration, layer by layer; a layer is narrowed before it is rebuilt."""
        steps = [
            (self.rows[d], step.technique != PRUNING, d, step)
            for d, index in enumerate(config)
            if index  # the first action of each changes nothing
            for step in self.steps(d, int(index))
        ]
        steps.sort(key=lambda each: (each[0] < 0, *each[:3]))
        return tuple(step for *_, step in steps)

    def steps(self, decision: int, index: int) -> Recipe:
        """What one action adds to a recipe, in order."""
        layer = self.decisions[decision].layer
        return tuple(
            RecipeStep(layer=layer, technique=name, params=level)
            for name, level in self.techniques(decision, index).items()
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
            of_layer = wanted.get(decision.layer, {})
            offered = self.offered(d)
            config[d] = self._index(d, {n: of_layer.pop(n) for n in offered & of_layer.keys()})
        for layer, left in wanted.items():
            if left and layer not in {decision.layer for decision in self.decisions}:
                raise BadRequestError(f"There is nothing to choose for layer {layer}.")
            if left:
                raise _cannot_be_built(layer, left)
        return config

    def nearest(self, recipe: Recipe) -> IntArray:
        """``[D]`` the configuration that comes nearest to any recipe; ``encode``'s where there is one.

        At each decision it is the action with the fewest techniques more or less, then that with the
        nearest levels.
        """
        wanted: dict[str, dict[str, Params]] = {}
        for step in recipe:
            wanted.setdefault(step.layer, {})[step.technique] = step.params
        config: IntArray = self.untouched()
        for d, decision in enumerate(self.decisions):
            offered, of_layer = self.offered(d), wanted.get(decision.layer, {})
            left = {name: of_layer[name] for name in offered & of_layer.keys()}
            actions = [self.techniques(d, index) for index in range(len(decision.actions))]
            distances = [_distance(action, left) for action in actions]
            config[0, d] = distances.index(min(distances))
        found: IntArray = self.canonical(config)[0]
        return found

    def techniques(self, decision: int, index: int) -> dict[str, Params]:
        """The techniques of one action with their levels; empty for the one that changes nothing."""
        row, action = self.decisions[decision].row, self.decisions[decision].actions[index]
        found: dict[str, Params] = {}
        if action.width:
            found[PRUNING] = {"pruning_ratio": WIDTH_STEPS[action.width]}
        found.update(self.tables.structures[row][action.structure] if row >= 0 else ())
        found.update(self.tables.thinnings[row][action.thinning] if row >= 0 else ())
        found.update(self.tables.precision_steps[action.precision])
        return found

    def offered(self, decision: int) -> set[str]:
        """Names of all techniques among the actions of a decision."""
        count = range(len(self.decisions[decision].actions))
        return {name for index in count for name in self.techniques(decision, index)}

    def _settled_widths(self) -> dict[int, BoolArray]:
        """``[A, D]`` for decisions what stands for a layer: which of their actions settle its width."""
        found = {}
        for d, decision in enumerate(self.decisions):
            widths = [
                w for w, x in enumerate(self.decisions) if x.row == decision.row and x.narrows
            ]
            settles = self.tables.fixes_width[decision.row][self.structures[d]]
            if decision.builds and widths and settles.any():
                found[d] = np.zeros((len(settles), self.n_decisions), dtype=np.bool_)
                found[d][:, widths[0]] = settles
        return found

    def _index(self, decision: int, wanted: Mapping[str, Params]) -> int:
        for index in range(len(self.decisions[decision].actions)):
            if same_treatments(self.techniques(decision, index), wanted):
                return index
        raise _cannot_be_built(self.decisions[decision].layer, wanted)


def same_level(offered: Params, wanted: Params) -> bool:
    """Whether an offered level is the wanted one; what is not asked for may be anything."""
    return all(
        name in offered and _same(offered[name], value) for name, value in wanted.items()
    )


def same_treatments(offered: Mapping[str, Params], wanted: Mapping[str, Params]) -> bool:
    """Whether an action's techniques are the wanted ones and no others, each at its level."""
    return offered.keys() == wanted.keys() and all(
        same_level(offered[name], level) for name, level in wanted.items()
    )


def _same(offered: ParamValue, wanted: ParamValue) -> bool:
    if isinstance(offered, str) or isinstance(wanted, str):
        return offered == wanted
    return math.isclose(offered, wanted, abs_tol=1e-6)


def _distance(offered: Mapping[str, Params], wanted: Mapping[str, Params]) -> tuple[int, float]:
    """How many techniques only one of the two has, and how far the levels of the others are apart."""
    shared = offered.keys() & wanted.keys()
    gaps = [
        _gap(level, wanted[name].get(setting, ""))
        for name in shared
        for setting, level in offered[name].items()
    ]
    return len(offered.keys() ^ wanted.keys()), sum(gaps)


def _gap(offered: ParamValue, wanted: ParamValue) -> float:
    if _same(offered, wanted):
        return 0.0
    alike = not isinstance(offered, str) and not isinstance(wanted, str)
    return abs(float(offered) - float(wanted)) if alike else 1.0


def _cannot_be_built(layer: str, wanted: Mapping[str, Params]) -> BadRequestError:
    names = " and ".join(sorted(wanted))
    return BadRequestError(f"Layer {layer} cannot be built with {names} at that level.")


def _decisions(tables: StudyTables) -> tuple[Decision, ...]:
    found = []
    for row, layer in enumerate(tables.layers):
        structures = np.flatnonzero(tables.mask_structure[row]).tolist()
        thinnings = np.flatnonzero(tables.mask_thinning[row]).tolist()
        choices = (
            tuple(Action(structure=structure) for structure in structures),
            tuple(Action(width=width) for width in _width_steps(tables, row)),
            tuple(Action(thinning=thinning) for thinning in thinnings),
        )
        found += [
            Decision(layer=layer, row=row, actions=actions)
            for actions in choices
            if len(actions) > 1
        ]
    legal = np.flatnonzero(tables.mask_precision).tolist()
    whole = tuple(Action(precision=precision) for precision in legal)
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
