"""Choices that take rows out of a network or settle a width: what need not be decided any more."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from selector.tables import BoolArray, IntArray

Branch = dict[int, "IntArray"]
"""Choices by decision, free of each other."""


@dataclass(frozen=True, slots=False, kw_only=True, eq=False)
class Removals:
    """Which actions of which decisions take which rows out.

    A choice removes rows behind its own, so that whoever decides in order never undoes a decision.
    It may say that its own row is gone too: then nothing else is to be decided about that row.

    Attributes:
        rows: ``[D]`` row of each decision, -1 for the whole network.
        by_decision: ``[A, L]`` for each decision that can remove rows, in order.
        settles: ``[A, D]`` for decisions that can settle others without removing anything.
        n_rows: how many rows there are.
    """

    rows: IntArray
    by_decision: Mapping[int, BoolArray]
    settles: Mapping[int, BoolArray]
    n_rows: int

    @classmethod
    def of(
        cls,
        removes: BoolArray,
        rows: IntArray,
        structures: IntArray,
        settles: Mapping[int, BoolArray],
    ) -> Removals:
        """From the tables' ``removes [L, S, L]`` and the decisions' rows and structures ``[D, A]``."""
        found = {
            d: removes[row][structures[d]] for d, row in enumerate(rows.tolist()) if row >= 0
        }
        removers = {d: gone for d, gone in found.items() if gone.any()}
        return cls(rows=rows, by_decision=removers, settles=settles, n_rows=removes.shape[0])

    def reaches_beyond(self, decision: int) -> bool:
        """Whether a decision can take rows out or settle other decisions."""
        return decision in self.by_decision or decision in self.settles

    def gone(self, configs: IntArray) -> BoolArray:
        """``[..., L]`` which rows others have taken out, in configurations ``[..., D]``."""
        return self.times_gone(configs) > 0

    def times_gone(self, configs: IntArray) -> IntArray:
        """``[..., L]`` how many decisions take each row out that is not their own."""
        found = np.zeros((*configs.shape[:-1], self.n_rows), dtype=np.int64)
        for deciders, tables in zip(*self._row_slots, strict=True):
            found += tables[np.arange(self.n_rows), configs[..., deciders]]
        return found

    def gone_rows(self, rows: IntArray, chosen: Callable[[IntArray], IntArray]) -> BoolArray:
        """``[E]`` whether each of some rows is gone; ``chosen`` tells what a decision is for each of them."""
        found = np.zeros(len(rows), dtype=np.bool_)
        for deciders, tables in zip(*self._row_slots, strict=True):
            found |= tables[rows, chosen(deciders[rows])]
        return found

    def is_gone(self, configs: IntArray, decision: int) -> BoolArray:
        """``[...]`` whether the row of one decision is gone."""
        found = np.zeros(configs.shape[:-1], dtype=np.bool_)
        for decider, silences in self._silencers.get(decision, ()):
            found |= silences[configs[..., decider]]
        return found

    @property
    def may_settle(self) -> bool:
        """Whether any choice leaves other decisions without anything to decide."""
        return bool(self._silencing)

    def settled(self, configs: IntArray) -> BoolArray:
        """``[..., D]`` which decisions need not be taken any more: ``is_gone`` for all at once."""
        found = np.zeros(configs.shape, dtype=np.bool_)
        for decider, silences in self._silencing.items():
            found |= silences[configs[..., decider]]
        return found

    def silenced(self, configs: IntArray) -> IntArray:
        """The configurations with the choice to change nothing for all that is gone."""
        result = configs.copy()
        for decider, silences in self._silencing.items():
            active = self._is_active[decider][result[..., decider]]
            if active.any():
                said = result[active]
                said[silences[said[:, decider]]] = 0
                result[active] = said
        return result

    def silenced_by(self, configs: IntArray, decision: int) -> IntArray:
        """``silenced`` for configurations ``[B, D]`` of which only that decision was changed, and legally."""
        silences = self._silencing.get(decision)
        if silences is None:
            return configs
        return np.where(silences[configs[:, decision]], 0, configs)

    def respecting(self, mask: BoolArray) -> BoolArray:
        """``[D, A]`` the mask without choices that would silence a decision that has to change."""
        result = mask.copy()
        for decider, silences in self._silencing.items():
            result[decider] &= ~(silences & ~mask[:, 0]).any(axis=1)
        return result

    @property
    def silencing(self) -> Mapping[int, BoolArray]:
        """``[A, D]`` for each decision that can settle others: which of them each choice settles."""
        return self._silencing

    def branches(self, mask: BoolArray) -> Iterator[list[Branch]]:
        """Parts of the decisions that do not touch each other, each as branches of free choices.

        A recipe is one branch of every part and one choice of each of its decisions.
        """
        free = {d: np.flatnonzero(row) for d, row in enumerate(mask)}
        for part in self._parts:
            choices = {d: free[d] for d in part}
            yield list(
                _split(choices, [d for d in self._silencing if d in part], self._silencing)
            )

    def products(self, mask: BoolArray) -> Iterator[list[IntArray]]:
        """All combinations of branches, as the choices of each decision in order."""
        for branches in itertools.product(*self.branches(mask)):
            whole = {d: choices for branch in branches for d, choices in branch.items()}
            yield [whole[d] for d in sorted(whole)]

    @cached_property
    def _silencing(self) -> dict[int, BoolArray]:
        """``[A, D]`` for each decision that can settle others: whose choices it silences."""
        found = dict(self.settles)
        for d, gone in self.by_decision.items():
            silences = gone[:, self.rows] & (self.rows >= 0)
            silences[:, d] = False
            if silences.any():
                found[d] = silences | found.get(d, False)
        return dict(sorted(found.items()))

    @cached_property
    def _silencers(self) -> dict[int, list[tuple[int, BoolArray]]]:
        """For each decision that others may settle: by whom, and by which of their choices ``[A]``."""
        found: dict[int, list[tuple[int, BoolArray]]] = {}
        for decider, silences in self._silencing.items():
            for decision in np.flatnonzero(silences.any(axis=0)).tolist():
                found.setdefault(decision, []).append((decider, silences[:, decision].copy()))
        return found

    @cached_property
    def _is_active(self) -> dict[int, BoolArray]:
        return {d: np.any(silences, axis=1) for d, silences in self._silencing.items()}

    @cached_property
    def _row_slots(self) -> tuple[list[IntArray], list[BoolArray]]:
        """For each row the decisions that may remove it, one a slot: ``[L]`` and ``[L, A]``."""
        by_row: list[list[int]] = [[] for _ in range(self.n_rows)]
        for d, gone in self.by_decision.items():
            for row in np.flatnonzero(gone.any(axis=0)).tolist():
                if self.rows[d] != row:
                    by_row[row].append(d)
        deciders, tables = [], []
        for slot in range(max(map(len, by_row), default=0)):
            chosen = [ds[slot] if slot < len(ds) else -1 for ds in by_row]
            width = next(iter(self.by_decision.values())).shape[0]
            nothing = np.zeros(width, dtype=np.bool_)
            deciders.append(np.array(chosen))
            tables.append(
                np.stack(
                    [
                        self.by_decision[d][:, r] if d >= 0 else nothing
                        for r, d in enumerate(chosen)
                    ]
                )
            )
        return deciders, tables

    @cached_property
    def _parts(self) -> list[list[int]]:
        """Decisions that removals tie together; all others stand alone."""
        part_of = list(range(len(self.rows)))
        for d, silences in self._silencing.items():
            tied = {
                part_of[d],
                *(part_of[other] for other in np.flatnonzero(silences.any(axis=0))),
            }
            part_of = [min(tied) if part in tied else part for part in part_of]
        return [
            [d for d, part in enumerate(part_of) if part == first]
            for first in sorted(set(part_of))
        ]


def _split(
    choices: Branch, removers: list[int], silencing: Mapping[int, BoolArray]
) -> Iterator[Branch]:
    """Branches by what each remover in turn leaves to decide; none where a mask leaves nothing."""
    if not removers:
        yield choices
        return
    first, *rest = removers
    ways: dict[bytes, list[int]] = {}
    for action in choices[first].tolist():
        ways.setdefault(silencing[first][action].tobytes(), []).append(action)
    for actions in ways.values():
        silenced = np.flatnonzero(silencing[first][actions[0]]).tolist()
        branch = {**choices, first: np.array(actions)}
        branch |= {d: choices[d][choices[d] == 0] for d in silenced}
        if all(len(left) for left in branch.values()):
            yield from _split(branch, rest, silencing)
