"""The decisions that a network offers, before anything was measured, and the changes to probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compression import technique
from compression.technique import Scope
from compression.types import (
    NETWORK,
    LayerKind,
    LayerProfile,
    NetworkProfile,
    Params,
    Recipe,
    RecipeStep,
    kept_width,
)
from selector.tables import KEEP, PRECISIONS, WIDTH_STEPS, Structure, Treatment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compression.technique import Technique
    from selector.tables import IntArray

PRUNING = "filter_pruning"
PAIR = "kl_pair"
"""The array of what pairs of changes to one row do."""

_BUILDING = (Scope.BLOCK, Scope.STRUCTURE, Scope.HEAD)

Choices = tuple[Structure, ...]

_STRUCTURES_A_THINNING = 4
"""So many ways to build a row are worth one way to thin its weights, where not all can be probed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Rows of the layer table that cost anything, and what may be done to each.

    ``structures`` and ``thinnings`` begin with ``KEEP`` in every row; see ``StudyTables`` for them and
    for ``removes`` and ``fixes_width`` (``[row][structure]``: indices of rows; whether).
    """

    profile: NetworkProfile
    rows: tuple[LayerProfile, ...]
    structures: tuple[Choices, ...]
    thinnings: tuple[Choices, ...]
    removes: tuple[tuple[tuple[int, ...], ...], ...]
    fixes_width: tuple[tuple[bool, ...], ...]
    widths: tuple[tuple[int, ...], ...]
    open_widths: tuple[tuple[bool, ...], ...]
    leader_rows: tuple[int, ...]
    precision_steps: Choices
    precisions: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One change to one layer whose damage is measured; ``index`` is its cell in a KL array."""

    array: str
    index: tuple[int, ...]
    layer: str
    treatments: Structure

    @property
    def key(self) -> str:
        """A text that names the cell."""
        return f"{self.array}:{','.join(map(str, self.index))}"

    @property
    def recipe(self) -> Recipe:
        """The change as a recipe."""
        return tuple(
            RecipeStep(layer=self.layer, technique=name, params=params)
            for name, params in self.treatments
        )


def lay_out(
    profile: NetworkProfile, techniques: tuple[str, ...], most_probes: int | None = None
) -> Layout:
    """The rows, structures and widths of a network under those techniques.

    Where all of that would be more changes than ``most_probes``, each row is offered fewer levels: a
    change that nobody probes could not be chosen anyway.
    """
    rows = tuple(row for row in profile.layers if technique.identity_cost(row))
    structures = tuple((KEEP, *_structures(row, profile, techniques)) for row in rows)
    thinnings = tuple((KEEP, *_thinnings(row, profile, techniques)) for row in rows)
    open_widths = tuple(
        _open_widths(i, profile, techniques) for i in range(len(profile.groups))
    )
    if most_probes is not None:
        left = most_probes - sum(sum(row[1:]) for row in open_widths)
        structures, thinnings = _fitting(structures, thinnings, left)
    names = [row.name for row in rows]
    widths = tuple(
        tuple(kept_width(g.channels, ratio) for ratio in WIDTH_STEPS) for g in profile.groups
    )
    removes = tuple(
        tuple(_removed(row, structure, profile, names) for structure in structures[i])
        for i, row in enumerate(rows)
    )
    steps = _precision_steps(techniques)
    return Layout(
        profile=profile,
        rows=rows,
        structures=structures,
        thinnings=thinnings,
        removes=removes,
        fixes_width=tuple(
            tuple(
                _fixes_width(rows, i, structure, gone)
                for structure, gone in zip(structures[i], removes[i], strict=True)
            )
            for i in range(len(rows))
        ),
        widths=widths,
        open_widths=open_widths,
        leader_rows=tuple(
            names.index(g.leader) if g.prunable and g.leader in names else -1
            for g in profile.groups
        ),
        precision_steps=steps,
        precisions=tuple(not p or bool(step) for p, step in enumerate(steps)),
    )


def applicability(
    profile: NetworkProfile, techniques: tuple[str, ...]
) -> dict[str, dict[str, bool | str]]:
    """For each layer that holds weights and each technique: true, or the reason why not."""
    answers: dict[str, dict[str, bool | str]] = {}
    for row in profile.layers:
        answers[row.name] = {}
        for name in techniques:
            method = technique.get(name)
            if method.scope is Scope.NETWORK:
                answers[row.name][name] = (
                    row.kind is not LayerKind.OTHER or row.untouched or "holds no weights"
                )
                continue
            verdict = method.applies_to(row, profile)
            answers[row.name][name] = verdict.yes or verdict.reason
    return answers


def probes(layout: Layout) -> list[Probe]:
    """Every single change the selector may make, layer by layer, the whole network last."""
    found = sorted(
        [
            *_row_probes(layout, "kl_structure", layout.structures),
            *_row_probes(layout, "kl_thinning", layout.thinnings),
            *_width_probes(layout),
        ],
        key=lambda pair: pair[0],
    )
    return [probe for _, probe in found] + list(_precision_probes(layout))


def pair_probes(layout: Layout, cells: IntArray) -> list[Probe]:
    """Pairs of changes to one row, by their cells ``[N, 4]``: row, thinning, structure, width step."""
    return [_pair_probe(layout, *cell) for cell in cells.tolist()]


def is_pair(key: str) -> bool:
    """Whether a probe's key is that of a pair of changes."""
    return key.startswith(f"{PAIR}:")


def pair_cell(key: str) -> tuple[int, ...]:
    """The cell that the key of a pair names."""
    return tuple(int(index) for index in key.removeprefix(f"{PAIR}:").split(","))


def _pair_probe(layout: Layout, row: int, thinning: int, structure: int, width: int) -> Probe:
    """In the order in which a recipe does it: a layer is narrowed, rebuilt, thinned."""
    narrowed = (Treatment(PRUNING, {"pruning_ratio": WIDTH_STEPS[width]}),) if width else KEEP
    return Probe(
        array=PAIR,
        index=(row, thinning, structure, width),
        layer=layout.rows[row].name,
        treatments=(
            *narrowed,
            *layout.structures[row][structure],
            *layout.thinnings[row][thinning],
        ),
    )


def _structures(
    row: LayerProfile, profile: NetworkProfile, techniques: tuple[str, ...]
) -> Iterator[Structure]:
    """What the row can be built as: one treatment, or one upon another that lets others follow."""
    for method in _methods(techniques, *_BUILDING):
        for params in _levels(method, row, profile):
            yield (Treatment(method.name, params),)
            if method.precedes_others:
                changed = method.treated(row, profile)
                yield from (
                    (Treatment(method.name, params), Treatment(second.name, level))
                    for second in _methods(techniques, Scope.STRUCTURE)
                    if not second.precedes_others
                    for level in _levels(second, changed, profile)
                )


def _thinnings(
    row: LayerProfile, profile: NetworkProfile, techniques: tuple[str, ...]
) -> Iterator[Structure]:
    for method in _methods(techniques, Scope.WEIGHTS):
        for params in _levels(method, row, profile):
            yield (Treatment(method.name, params),)


def _fitting(
    structures: tuple[Choices, ...], thinnings: tuple[Choices, ...], most: int
) -> tuple[tuple[Choices, ...], tuple[Choices, ...]]:
    """As many levels a row as make at most so many changes in all; at least one of each kind."""
    for count in range(max(map(len, (*structures, *thinnings))), 0, -1):
        built = tuple(_foremost(row, count) for row in structures)
        thinned = tuple(
            _foremost(row, -(-count // _STRUCTURES_A_THINNING)) for row in thinnings
        )
        if sum(len(row) - 1 for row in (*built, *thinned)) <= most:
            break
    return built, thinned


def _foremost(choices: Choices, count: int) -> Choices:
    """The first ``count`` changes: of each technique in turn its middle level, then the outer ones.

    Techniques that save time come before those that only save bytes.
    """
    levels: dict[tuple[str, ...], list[int]] = {}
    for number, treatments in enumerate(choices[1:], start=1):
        levels.setdefault(tuple(name for name, _ in treatments), []).append(number)
    ranked = sorted(
        (abs(place - (len(numbers) - 1) // 2), _only_bytes(names), number)
        for names, numbers in levels.items()
        for place, number in enumerate(numbers)
    )
    kept = sorted(number for *_, number in ranked[:count])
    return (KEEP, *(choices[number] for number in kept))


def _only_bytes(names: tuple[str, ...]) -> bool:
    return any(technique.get(name).note for name in names)


def _methods(techniques: tuple[str, ...], *scopes: Scope) -> list[Technique]:
    found = [technique.get(name) for name in techniques]
    return [method for method in found if method.scope in scopes]


def _levels(
    method: Technique, row: LayerProfile, profile: NetworkProfile
) -> tuple[Params, ...]:
    """The levels that differ: rounding makes some alike."""
    return () if row.untouched else method.distinct_levels(row, profile)


def _removed(
    row: LayerProfile, structure: Structure, profile: NetworkProfile, names: list[str]
) -> tuple[int, ...]:
    """Indices of the rows that are gone when the row takes a structure."""
    gone: set[str] = set()
    for name, _ in structure:
        method = technique.get(name)
        gone.update(method.removes(row, profile))
        if method.scope is Scope.BLOCK:
            gone.add(row.name)
    return tuple(i for i, name in enumerate(names) if name in gone)


def _fixes_width(
    rows: tuple[LayerProfile, ...], own: int, structure: Structure, gone: tuple[int, ...]
) -> bool:
    """Whether the row's own width is settled: it is gone, or whoever reads it is."""
    scopes = {technique.get(name).scope for name, _ in structure}
    if scopes & {Scope.BLOCK, Scope.HEAD}:
        return True
    group = rows[own].out_group
    return any(
        rows[i].kind is not LayerKind.OTHER and group in {g for g, _ in rows[i].in_groups}
        for i in gone
    )


def _open_widths(
    group: int, profile: NetworkProfile, techniques: tuple[str, ...]
) -> tuple[bool, ...]:
    """Which width steps may be chosen: those that the technique allows and that differ."""
    facts = profile.groups[group]
    if PRUNING not in techniques or not facts.prunable:
        return (True, *(False for _ in WIDTH_STEPS[1:]))
    method, leader = technique.get(PRUNING), profile.layer(facts.leader)
    widths = [kept_width(facts.channels, ratio) for ratio in WIDTH_STEPS]
    return (
        True,
        *(
            widths[i] < widths[i - 1]
            and not method.refusal(leader, profile, {"pruning_ratio": ratio})
            for i, ratio in enumerate(WIDTH_STEPS)
            if i
        ),
    )


def _precision_steps(techniques: tuple[str, ...]) -> Choices:
    """What a recipe says for each of ``PRECISIONS``; empty for those that no technique gives."""
    found = {
        method.precision(params): (Treatment(method.name, params),)
        for method in _methods(techniques, Scope.NETWORK)
        for params in method.levels()
    }
    return tuple(found.get(precision, KEEP) for precision in PRECISIONS)


def _row_probes(
    layout: Layout, array: str, choices: tuple[Choices, ...]
) -> Iterator[tuple[int, Probe]]:
    for i, row in enumerate(layout.rows):
        for number, treatments in enumerate(choices[i]):
            if number:
                yield (
                    i,
                    Probe(
                        array=array, index=(i, number), layer=row.name, treatments=treatments
                    ),
                )


def _width_probes(layout: Layout) -> Iterator[tuple[int, Probe]]:
    for g, group in enumerate(layout.profile.groups):
        for w, ratio in enumerate(WIDTH_STEPS):
            if w and layout.open_widths[g][w] and layout.leader_rows[g] >= 0:
                treatments = (Treatment(PRUNING, {"pruning_ratio": ratio}),)
                yield (
                    layout.leader_rows[g],
                    Probe(
                        array="kl_width",
                        index=(g, w),
                        layer=group.leader,
                        treatments=treatments,
                    ),
                )


def _precision_probes(layout: Layout) -> Iterator[Probe]:
    for p, treatments in enumerate(layout.precision_steps):
        if treatments:
            yield Probe(array="kl_precision", index=(p,), layer=NETWORK, treatments=treatments)
