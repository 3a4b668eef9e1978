"""The cheapest recipe at given prices, exactly: widths are decided one after another (dynamic programming).

At fixed prices of time, energy, bytes, multiply-adds, parameters and damage the cost of a recipe is a sum over
layers, and a layer's cost depends on its own choices and on the widths of what it reads and writes. So
the best own choice is looked up for each pair of widths, and the widths are eliminated one by one, each
with the few it shares a layer with (bucket elimination, Dechter 1999). A choice that takes layers out is
decided like a width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from selector.cell_prices import DAMAGE, N_COLUMNS, SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.pricing import CostTables
    from selector.tables import Array, BoolArray, IntArray

_MOST_INPUTS = 4
_WHOLE = 1e-6  # a share of a step that is none
_NEVER = 1e12  # a price that nobody pays: infinite ones would make not-a-numbers of differences


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Factor:
    """Costs ``[..., K]`` by the choices of some variables, one an axis, at each of ``K`` prices."""

    variables: tuple[int, ...]
    costs: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Row:
    """What one row's cost depends on.

    Attributes:
        reads: deciders of the widths it reads, with the ``shares`` that each has of the input.
        writes: decider of the width it writes, -1 for none; likewise ``own``, if what stands for the row
            takes rows out.
        structures: ``[C, S]`` which structures each class of the row's own remover allows.
        thinnings: which ways to thin may be chosen.
        removers: decisions about other rows that may take it out.
        builder: the decision about what stands for the row, -1 for none; likewise ``thinner``.
    """

    reads: tuple[int, ...]
    shares: Array
    writes: int
    own: int
    structures: BoolArray
    thinnings: IntArray
    removers: tuple[int, ...]
    builder: int
    thinner: int


class Cheapest:
    """Finds the cheapest recipe on one target in one precision that a mask allows, at any prices.

    A variable is a decision about a width (its values are actions), or a decision that takes rows out or
    settles others (its values are classes of actions that do the same to the others).
    """

    def __init__(
        self, costs: CostTables, mask: BoolArray, precision: int, target: int = 0
    ) -> None:
        """``precision`` is an action of the last decision, ``target`` an index of those that are priced."""
        self._space = costs.space
        self._tables = costs.space.tables
        self._allowed = [np.flatnonzero(row) for row in mask]
        self._precision = precision
        self.parts = costs.parts(target, precision)
        removals = self._space.removals
        reaching = sorted({*removals.silencing, *removals.by_decision})
        self._classes = {d: self._classes_of(d) for d in reaching}
        self._fixed = self._silences()
        self._rows = [self._row(row) for row in range(len(self._tables.layers))]
        self._order = self._elimination_order()

    def find(self, prices: Array) -> tuple[float, IntArray]:
        """The least cost at prices ``[7]`` and a configuration ``[D]`` that has it; see ``find_many``."""
        costs, configs = self.find_many(prices[None])
        return float(costs[0]), configs[0]

    def find_many(self, prices: Array) -> tuple[Array, IntArray]:
        """The least costs ``[K]`` at prices ``[K, 7]`` and configurations ``[K, D]`` that have them.

        Rows that read more than four widths are taken at the best of all steps, so that a configuration may
        then cost a little more than is said. Dozens of prices take little longer than one.
        """
        tables = self._row_costs(prices)
        factors = [
            *self._fixed,
            *(self._factor(r, t) for r, t in zip(self._rows, tables, strict=True)),
        ]
        cost, every = prices @ self.parts.offset, np.arange(len(prices))
        chosen: dict[int, IntArray] = {}
        eliminated: list[tuple[int, _Factor]] = []
        for variable in self._order:
            mine = [f for f in factors if variable in f.variables]
            factors = [f for f in factors if variable not in f.variables]
            joined = _joined(mine, variable)
            eliminated.append((variable, joined))
            rest = joined.variables[1:]
            factors.append(_Factor(variables=rest, costs=joined.costs.min(axis=0)))
        for factor in factors:
            cost = cost + factor.costs
        for variable, joined in reversed(eliminated):
            at: tuple[Any, ...] = tuple(chosen[other] for other in joined.variables[1:])
            costs = np.broadcast_to(joined.costs, (*joined.costs.shape[:-1], len(prices)))
            chosen[variable] = costs[(slice(None), *at, every)].argmin(axis=0)
        return cost, self._configurations(chosen, tables, len(prices))

    # ----- what there is to decide -----

    def _legal(self, decision: int) -> IntArray:
        return self._allowed[decision]

    def _classes_of(self, decision: int) -> list[IntArray]:
        """Legal actions of a remover, grouped by what they do to others; class 0 holds action 0 if legal."""
        removals = self._space.removals
        effects = [
            effect[decision]
            for effect in (removals.silencing, removals.by_decision)
            if decision in effect
        ]
        ways: dict[bytes, list[int]] = {}
        for action in self._legal(decision).tolist():
            ways.setdefault(b"".join(e[action].tobytes() for e in effects), []).append(action)
        return [np.array(actions) for actions in ways.values()]

    def _choices(self, decision: int) -> list[IntArray]:
        """Actions behind each value of a variable."""
        known = self._classes.get(decision)
        return known if known is not None else [np.array([a]) for a in self._legal(decision)]

    def _silences(self) -> list[_Factor]:
        """What others settle has to stay as it is."""
        found = []
        for decider, silences in self._space.removals.silencing.items():
            for other in np.flatnonzero(silences.any(axis=0)).tolist():
                if not self._is_variable(other):
                    continue
                acts = np.array(
                    [silences[actions[0], other] for actions in self._choices(decider)]
                )
                moves = np.array([0 not in actions for actions in self._choices(other)])
                costs = np.where(acts[:, None] & moves, _NEVER, 0.0)[..., None]
                found.append(_Factor(variables=(decider, other), costs=costs))
        return found

    def _is_variable(self, decision: int) -> bool:
        return decision in self._classes or self._space.decisions[decision].narrows

    def _owner(self, group: int) -> int:
        """The decision about a group's width, -1 where nobody decides."""
        leader = int(self._tables.leader_row[group])
        return self._decision(leader, "narrows") if leader >= 0 else -1

    def _decision(self, row: int, about: str) -> int:
        decisions = enumerate(self._space.decisions)
        return next((d for d, x in decisions if x.row == row and getattr(x, about)), -1)

    def _row(self, row: int) -> _Row:
        reads = self._reads(row)
        own, structures = self._own_structures(row)
        thinner = self._decision(row, "thins")
        return _Row(
            reads=tuple(reads),
            shares=np.array(list(reads.values())),
            writes=self._owner(int(self._tables.out_group[row])),
            own=own,
            structures=structures,
            thinnings=self._offered(thinner, self._space.thinnings),
            removers=tuple(
                d
                for d, gone in self._space.removals.by_decision.items()
                if self._space.rows[d] != row and gone[self._legal(d), row].any()
            ),
            builder=self._decision(row, "builds"),
            thinner=thinner,
        )

    def _reads(self, row: int) -> dict[int, float]:
        """The deciders of the widths that a row reads, with their shares of its input."""
        found: dict[int, float] = {}
        for group in np.flatnonzero(self._tables.in_share[row]).tolist():
            if (owner := self._owner(group)) >= 0:
                found[owner] = found.get(owner, 0.0) + float(self._tables.in_share[row, group])
        return found

    def _own_structures(self, row: int) -> tuple[int, BoolArray]:
        """The variable about what stands for a row, -1 for none, and ``[classes, S]`` what each allows."""
        builder = self._decision(row, "builds")
        own = builder if builder in self._classes else -1
        if own >= 0:
            ways = [self._space.structures[builder, actions] for actions in self._classes[own]]
        else:
            ways = [self._offered(builder, self._space.structures)]
        allowed = np.zeros((len(ways), self.parts.cells.shape[1]), dtype=np.bool_)
        for kind, structures in enumerate(ways):
            allowed[kind, structures] = True
        return own, allowed

    def _offered(self, decision: int, axis: IntArray) -> IntArray:
        """What a decision may set on an axis; 0 alone where nobody decides."""
        if decision < 0:
            return np.zeros(1, dtype=np.int64)
        return np.asarray(axis[decision, self._legal(decision)])

    # ----- costs -----

    def _row_costs(self, prices: Array) -> list[Array]:
        """``[V', S, W, W, K]`` for each row, what every own choice costs at every pair of widths."""
        cells = self.parts.cells @ prices.T
        damage, size = prices[:, DAMAGE], prices[:, SIZE]
        found = []
        for number, row in enumerate(self._rows):
            added = self.parts.thinning_damage[number, row.thinnings][..., None] * damage
            saved = self.parts.saved_bytes[number, row.thinnings][..., None] * size
            found.append(cells[number] + (added - saved))
        return found

    def _factor(self, row: _Row, table: Array) -> _Factor:
        """A row's least cost by the variables that it depends on."""
        at_inputs = self._at_inputs(row, table[:, :, :, self._steps(row.writes)])
        best = at_inputs.min(axis=0)
        costs = np.stack([best[allowed].min(axis=0) for allowed in row.structures])
        n_inputs = 1 if self._is_loose(row) else len(row.reads)
        variables = [row.own, *(row.reads if n_inputs == len(row.reads) else (-1,)), row.writes]
        if row.writes in variables[:-1]:
            axis = variables.index(row.writes)
            costs = np.moveaxis(
                np.diagonal(costs, axis1=axis, axis2=len(variables) - 1), -1, axis
            )
            variables.pop()
        for axis in reversed(range(len(variables))):
            if variables[axis] < 0:
                costs = costs.take(0, axis=axis)
                del variables[axis]
        for remover in row.removers:
            costs, variables = self._removed(row, remover, costs, variables)
        return _Factor(variables=tuple(variables), costs=costs)

    def _at_inputs(self, row: _Row, table: Array) -> Array:
        """``[V', S, (values of each read variable), Wo, K]`` from ``[V', S, W, Wo, K]``: inputs at their mean step."""
        if self._is_loose(row):
            return np.asarray(table.min(axis=2, keepdims=True))
        steps = np.zeros((1,) * len(row.reads))
        for axis, (owner, share) in enumerate(zip(row.reads, row.shares, strict=True)):
            shape = [1] * len(row.reads)
            shape[axis] = -1
            steps = steps + share * self._steps(owner).reshape(shape)
        low = np.floor(steps + 1e-9).astype(np.int64)
        share = np.clip(steps - low, 0.0, 1.0)[..., None, None]
        if share.max() < _WHOLE:
            return np.asarray(table[:, :, low])
        below, above = table[:, :, low], table[:, :, np.minimum(low + 1, table.shape[2] - 1)]
        return np.asarray(below + share * (above - below))

    def _is_loose(self, row: _Row) -> bool:
        """Whether too many widths are read to try them all together: then the best step is taken."""
        return len(row.reads) > _MOST_INPUTS

    def _removed(
        self, row: _Row, remover: int, costs: Array, variables: list[int]
    ) -> tuple[Array, list[int]]:
        """The same costs, none where a remover takes the row out."""
        gone = self._space.removals.by_decision[remover]
        number = next(i for i, other in enumerate(self._rows) if other is row)
        there = np.array([not gone[actions[0], number] for actions in self._choices(remover)])
        return costs[..., None, :] * there[:, None], [*variables, remover]

    def _steps(self, owner: int) -> IntArray:
        """Width steps of a decision's values."""
        return self._offered(owner, self._space.widths)

    # ----- elimination -----

    def _elimination_order(self) -> list[int]:
        """The variable with the fewest neighbours first, which then become neighbours of each other."""
        blank = self._row_costs(np.zeros((1, N_COLUMNS)))
        factors = [
            *self._fixed,
            *(self._factor(r, t) for r, t in zip(self._rows, blank, strict=True)),
        ]
        scopes = [set(factor.variables) for factor in factors]
        left = {d for d in range(self._space.n_decisions - 1) if self._is_variable(d)}
        order = []
        while left:
            around = {d: set().union(*(s for s in scopes if d in s), {d}) for d in sorted(left)}
            first = min(around, key=lambda d: (len(around[d]), d))
            scopes = [s for s in scopes if first not in s] + [around[first] - {first}]
            left.remove(first)
            order.append(first)
        return order

    def _configurations(
        self, chosen: dict[int, IntArray], tables: Sequence[Array], count: int
    ) -> IntArray:
        """All choices ``[K, D]``, given those of the variables ``[K]``."""
        configs = np.zeros((count, self._space.n_decisions), dtype=np.int64)
        configs[:, -1] = self._precision
        for variable, values in chosen.items():
            if self._space.decisions[variable].narrows:
                first = np.array([actions[0] for actions in self._choices(variable)])
                configs[:, variable] = first[values]
        for row, table in zip(self._rows, tables, strict=True):
            if row.builder >= 0 or row.thinner >= 0:
                self._own_choices(configs, row, table, chosen)
        return self._space.canonical(configs)

    def _own_choices(
        self, configs: IntArray, row: _Row, table: Array, chosen: dict[int, IntArray]
    ) -> None:
        """What stands for a row and how it is thinned, given the widths around it and its class."""
        every, nothing = np.arange(len(configs)), np.zeros(len(configs), dtype=np.int64)
        out = self._steps(row.writes)[chosen.get(row.writes, nothing)]
        by_inputs = table[:, :, :, out, every]
        if self._is_loose(row):
            costs = by_inputs.min(axis=2)
        else:
            steps = sum(
                (
                    share * self._steps(owner)[chosen[owner]]
                    for owner, share in zip(row.reads, row.shares, strict=True)
                ),
                start=np.zeros(len(configs)),
            )
            costs = _between(by_inputs, steps, every)
        kinds = chosen[row.own] if row.own >= 0 else nothing
        costs = np.where(row.structures[kinds].T, costs, np.inf)
        best = costs.reshape(-1, len(configs)).argmin(axis=0)
        thinning, structure = np.divmod(best, costs.shape[1])
        for decision, wanted, axis in (
            (row.builder, structure, self._space.structures),
            (row.thinner, row.thinnings[thinning], self._space.thinnings),
        ):
            if decision >= 0:
                legal = self._legal(decision)
                at = (axis[decision, legal] == wanted[:, None]).argmax(axis=1)
                configs[:, decision] = legal[at]


def _between(table: Array, steps: Array, every: IntArray) -> Array:
    """``[V', S, K]`` of a table ``[V', S, W, K]`` at fractional steps ``[K]``."""
    low = np.floor(steps + 1e-9).astype(np.int64)
    share = np.clip(steps - low, 0.0, 1.0)
    below = table[:, :, low, every]
    if share.max() < _WHOLE:
        return np.asarray(below)
    above = table[:, :, np.minimum(low + 1, table.shape[2] - 1), every]
    return np.asarray(below + share * (above - below))


def _joined(factors: Sequence[_Factor], first: int) -> _Factor:
    """The sum of factors, with ``first`` as its first axis."""
    others = sorted({v for f in factors for v in f.variables} - {first})
    variables = (first, *others)
    total: Array = np.zeros((1,) * (len(variables) + 1))
    for factor in factors:
        order = sorted(
            range(len(factor.variables)), key=lambda i: variables.index(factor.variables[i])
        )
        costs = factor.costs.transpose((*order, len(order)))
        shape = [1] * len(variables)
        for axis in order:
            shape[variables.index(factor.variables[axis])] = factor.costs.shape[axis]
        total = total + costs.reshape((*shape, costs.shape[-1]))
    return _Factor(variables=variables, costs=total)
