"""In which parts a stage may be done, and which of them wait for others. Free of NumPy and torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from compression.types import Stage
from selector.errors import BadRequestError
from selector.jobfolder import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.jobfolder import JobFolder

PLAN = "plan.json"
"""What INSPECT leaves: for each stage that takes parts its work items, its ``rounds``, and those that go ``apart``."""

GPU = "gpu"
"""In the plan: whether later stages do the steps that a GPU has time for, wherever they run."""

PARTED_STAGES = (Stage.PROBE, Stage.VALIDATE)
"""Stages whose parts may be done by several processes."""

MOST_PARTS = 64
PAIR_ROUNDS = 3
"""Rounds of pairs: what one finds out moves the front to pairs that nobody has looked at."""

MORE_RECOVERIES = 0.9
"""Of the recoveries that may still come, how many do: what one teaches mostly leads to another recipe, or to a bolder one."""

_USUAL_RECOVERY, _USUAL_RECOVERIES = 0.5, 3
"""Of plans of older versions, which tell neither steps nor recoveries."""

_TIMES, _TIMES_FROM = (2, 2), 3
"""Rounds of PROBE that measure times: operations in float and in 8 bits, then whole networks. By their first part two
shares of single changes have told how long the others take."""

_LEAST_SHARE = 6
"""Probes that make a part: with fewer, handing parts out would take longer than doing them."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """How many parts each round has. A part needs the results of all parts of the rounds before its own.

    Rounds ``apart`` go beside them: none of their parts needs one of the others, nor is needed by them. Their parts are
    numbered on from ``apart_from``.
    """

    sizes: tuple[int, ...]
    apart: tuple[int, ...] = ()
    apart_from: int = 1

    @property
    def count(self) -> int:
        """All parts together."""
        return sum(self.sizes) + sum(self.apart)

    @property
    def parts(self) -> list[Part]:
        """All parts in an order in which they can be done."""
        return [Part(index, self.count) for index in range(1, self.count + 1)]

    @property
    def at_once(self) -> int:
        """The most parts that can be done at the same time."""
        return max(self.sizes) + max(self.apart, default=0)

    def is_apart(self, index: int) -> bool:
        """Whether a part belongs to the rounds apart."""
        return self.apart_from <= index < self.apart_from + sum(self.apart)

    def needed(self, index: int) -> tuple[int, ...]:
        """The numbers of the parts that must be done before part ``index``."""
        alike = self._alike(index)
        return tuple(alike[: self._round(alike, index)[0]])

    def within(self, index: int) -> Part:
        """Part ``index`` as a share of its own round."""
        alike = self._alike(index)
        first, size = self._round(alike, index)
        return Part(alike.index(index) - first + 1, size)

    def _alike(self, index: int) -> list[int]:
        """The numbers of all parts that are apart, or of all that are not."""
        every = range(1, self.count + 1)
        return [number for number in every if self.is_apart(number) == self.is_apart(index)]

    def _round(self, alike: Sequence[int], index: int) -> tuple[int, int]:
        """How many of them come before a part's round, and how many are in it."""
        sizes, place = self.apart if self.is_apart(index) else self.sizes, alike.index(index)
        rounds = zip(accumulate(sizes, initial=0), sizes, strict=False)
        return next((first, size) for first, size in rounds if place < first + size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Optimiser steps of one candidate and of one recovery in full, and the most recoveries: how long a build takes beside its study."""

    candidate: int
    recovery: int
    recoveries: int


def plan(
    n_probes: int, n_pairs: int, n_candidates: int, steps: Steps, *, gpu: bool = False
) -> dict[str, Any]:
    """The plan of a job: so many probes, at most so many of pairs, so many candidates to build, and whether counts are a GPU's.

    Times go beside all rounds of PROBE, which may not last as long. A candidate is a part of its own. Rounds of candidates are
    even, so that two workers end together.
    """
    singles = _shares(n_probes, most=8)
    size = max(1, 2 * -(-n_candidates // 6))
    starts = range(0, n_candidates, size)
    return {
        Stage.PROBE.value: {
            "items": n_probes + n_pairs,
            "apart": {"rounds": _TIMES, "from": min(_TIMES_FROM, singles + 1)},
            "rounds": [
                singles,
                *[_shares(n_pairs // PAIR_ROUNDS, most=4)] * PAIR_ROUNDS,
            ],
        },
        Stage.VALIDATE.value: {
            "items": n_candidates,
            "rounds": [min(size, n_candidates - start) for start in starts],
            "steps": n_candidates * steps.candidate,
        },
        Stage.RECOVER.value: {
            "items": 1,
            "rounds": [1],
            "steps": steps.recovery,
            "most": steps.recoveries,
        },
        GPU: gpu,
    }


def expected_recoveries(most: int) -> float:
    """How many of at most so many recoveries come on average."""
    return 1.0 + MORE_RECOVERIES * (most - 1)


def recovery_per_validation(folder: JobFolder, *, picked: bool) -> float:
    """How many times as long as VALIDATE all of RECOVER probably takes, by their steps; a ``picked`` recipe is built once.

    Plans of older versions tell no steps: then what most networks get.
    """
    try:
        found = folder.read_json(Stage.INSPECT, PLAN)
        recover, validate = found[Stage.RECOVER.value], found[Stage.VALIDATE.value]
        one, most = float(recover["steps"] / validate["steps"]), int(recover["most"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        one, most = _USUAL_RECOVERY, _USUAL_RECOVERIES
    return one * expected_recoveries(1 if picked else most)


def validation_steps(folder: JobFolder) -> int | None:
    """Optimiser steps of all candidates together; ``None`` before INSPECT and in plans of older versions."""
    try:
        return int(folder.read_json(Stage.INSPECT, PLAN)[Stage.VALIDATE.value]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_rounds(folder: JobFolder, stage: Stage) -> Rounds:
    """The rounds of a stage that takes parts.

    Raises:
        BadRequestError: when INSPECT is not done, or the plan cannot be followed.
    """
    folder.require(Stage.INSPECT)
    try:
        planned = folder.read_json(Stage.INSPECT, PLAN)[stage.value]
        rounds = Rounds(_sizes(planned["rounds"]))
        if apart := planned.get("apart"):
            rounds = replace(
                rounds, apart=_sizes(apart["rounds"]), apart_from=int(apart["from"])
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unusable(stage) from error
    if rounds.count > MOST_PARTS or not 0 < rounds.apart_from <= 1 + sum(rounds.sizes):
        raise _unusable(stage)
    return rounds


def counts_for_gpu(folder: JobFolder) -> bool:
    """Whether INSPECT saw a GPU, so that a study and its builds do the same steps on any machine."""
    try:
        return bool(folder.read_json(Stage.INSPECT, PLAN)[GPU])
    except (OSError, ValueError, KeyError, TypeError):
        return False  # an older version's


def part_done(folder: JobFolder, stage: Stage, part: Part) -> bool:
    """Whether a part has left its result."""
    return (folder.path / stage.value / folder.part_name(part, ".json")).is_file()


def check_ready(folder: JobFolder, stage: Stage, part: Part) -> None:
    """Raise ``BadRequestError`` unless the part is one of the plan and those it needs are done."""
    rounds = read_rounds(folder, stage)
    if part.count != rounds.count:
        raise BadRequestError(
            f"{stage.value} is planned in {rounds.count} parts: --part I/{rounds.count}, "
            f"not {part}."
        )
    for needed in (Part(index, rounds.count) for index in rounds.needed(part.index)):
        if not part_done(folder, stage, needed):
            raise BadRequestError(
                f"Part {part} of {stage.value} needs part {needed} first: it learns from its result."
            )


def _shares(items: int, most: int) -> int:
    return min(most, max(1, items // _LEAST_SHARE))


def _sizes(found: Sequence[object]) -> tuple[int, ...]:
    """Of rounds, as they were written down; ``ValueError`` if they cannot be."""
    sizes = tuple(size for size in found if isinstance(size, int) and size > 0)
    if not sizes or len(sizes) < len(found):
        raise ValueError(found)
    return sizes


def _unusable(stage: Stage) -> BadRequestError:
    return BadRequestError(
        f"INSPECT/{PLAN} does not say in which parts {stage.value} is done. Study the model again."
    )
