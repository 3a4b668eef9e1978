"""Four sets of examples that never overlap, drawn by seed, by class and by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.errors import DataRefusedError
from compression.raw_data import TEST, TRAIN, VALIDATION, WHOLE, RawData, RawPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

CALIBRATION, SEARCH, TRAINING, TESTING = "calibration", "search", "training", "test"
PURPOSES = (CALIBRATION, SEARCH, TRAINING, TESTING)

SHARES = {CALIBRATION: 0.05, SEARCH: 0.15, TRAINING: 0.60, TESTING: 0.20}
"""How plain ``x, y`` is split."""

MAX_CALIBRATION = 512
MAX_SEARCH = 5000
"""Drawn from given training data, more would only be taken away from training."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the examples of a split are: rows of a part, in ascending order."""

    part: str
    rows: NDArray[np.int64]


def split(data: RawData, seed: int) -> dict[str, Source]:
    """One ``Source`` for each of ``PURPOSES``.

    Data nobody has split goes 5 / 15 / 60 / 20. A given test part is the test split and is used
    for nothing else; a given validation part is for calibration and search. Classes keep their
    shares; a group is never in two splits that are drawn here.

    Raises:
        DataRefusedError: when there are too few groups or examples.
    """
    rng = np.random.default_rng(seed)
    parts = data.parts
    chosen: dict[str, Source] = {}
    if TEST in parts:
        chosen[TESTING] = Source(TEST, np.arange(len(parts[TEST].x)))
    pool = next(name for name in (WHOLE, TRAIN, VALIDATION) if name in parts)
    if pool == TRAIN and VALIDATION in parts:
        chosen |= _split_with_validation(parts, rng, with_test=TESTING not in chosen)
    else:
        wanted = [purpose for purpose in PURPOSES if purpose not in chosen]
        chosen |= _draw(pool, parts[pool], _counts(len(parts[pool].x), wanted), rng)
    for purpose in PURPOSES:
        if not len(chosen[purpose].rows):
            raise DataRefusedError(
                f"There are too few examples: none is left for {purpose}. Give more data."
            )
    return chosen


def _split_with_validation(
    parts: Mapping[str, RawPart], rng: np.random.Generator, *, with_test: bool
) -> dict[str, Source]:
    """Calibration comes from the validation part, or, where that is one group, from training."""
    validation, training = parts[VALIDATION], parts[TRAIN]
    n_train, n_validation = len(training.x), len(validation.x)
    test = {TESTING: round(SHARES[TESTING] * n_train)} if with_test else {}
    calibration = min(MAX_CALIBRATION, max(1, n_validation // 4))
    if _one_group(validation):
        chosen = {SEARCH: Source(VALIDATION, np.arange(n_validation))}
        calibration = min(MAX_CALIBRATION, round(SHARES[CALIBRATION] * n_train))
        counts = {CALIBRATION: calibration, **test}
    else:
        counts = {CALIBRATION: calibration, SEARCH: n_validation - calibration}
        chosen = _draw(VALIDATION, validation, counts, rng)
        counts = test
    return chosen | _draw(
        TRAIN, training, {**counts, TRAINING: n_train - sum(counts.values())}, rng
    )


def _one_group(part: RawPart) -> bool:
    return part.group is not None and len(np.unique(part.group)) == 1


def _counts(total: int, wanted: list[str]) -> dict[str, int]:
    """How many examples of ``total`` each purpose gets; training takes what is left."""
    share = sum(SHARES[purpose] for purpose in wanted)
    counts = {
        purpose: max(1, round(total * SHARES[purpose] / share))
        for purpose in wanted
        if purpose != TRAINING
    }
    if TESTING not in wanted:
        counts[CALIBRATION] = min(MAX_CALIBRATION, counts[CALIBRATION])
        counts[SEARCH] = min(MAX_SEARCH, counts[SEARCH])
    return counts | {TRAINING: total - sum(counts.values())}


def _draw(
    name: str, part: RawPart, counts: Mapping[str, int], rng: np.random.Generator
) -> dict[str, Source]:
    """Deal the rows of a part out; the counts sum to its length."""
    if part.group is not None:
        rows = _deal_groups(part.group, counts, rng)
    else:
        classes = None if part.y is None or part.y.ndim > 1 else part.y
        rows = _deal_classes(classes, len(part.x), counts, rng)
    return {purpose: Source(name, np.sort(rows[purpose])) for purpose in counts}


def _deal_classes(
    labels: NDArray[np.int64] | None,
    total: int,
    counts: Mapping[str, int],
    rng: np.random.Generator,
) -> dict[str, NDArray[np.int64]]:
    """Take evenly spaced rows of an order sorted by class: every class gives its share."""
    order = rng.permutation(total)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    dealt = {}
    for purpose, count in sorted(counts.items(), key=lambda item: item[1]):
        spacing = len(order) / max(1, count)
        picked = np.floor((np.arange(count) + rng.random()) * spacing).astype(np.int64)
        dealt[purpose] = order[picked]
        order = np.delete(order, picked)
    return dealt


def _deal_groups(
    groups: NDArray[Any], counts: Mapping[str, int], rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Give whole groups, the largest first, to the purpose that lacks most; none goes empty."""
    names, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    wanted = {purpose: count for purpose, count in counts.items() if count}
    if len(names) < len(wanted):
        raise DataRefusedError(
            f"The group array has {len(names)} groups, but {len(wanted)} sets that share none are "
            "needed. Give more groups, or leave the array out."
        )
    order = rng.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    dealt: dict[str, list[int]] = {purpose: [] for purpose in counts}
    filled = dict.fromkeys(wanted, 0)
    for position, group in enumerate(order):
        empty = [purpose for purpose in wanted if not dealt[purpose]]
        open_to = empty if len(order) - position <= len(empty) else list(wanted)
        purpose = max(open_to, key=lambda p: 1 - filled[p] / wanted[p])
        purpose = (
            max(open_to, key=lambda p: wanted[p] - filled[p]) if position == 0 else purpose
        )
        dealt[purpose].append(int(group))
        filled[purpose] += int(sizes[group])
    return {
        purpose: np.flatnonzero(np.isin(inverse, members)) for purpose, members in dealt.items()
    }
