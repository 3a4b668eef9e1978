"""A fast model of what any recipe gives: accuracy, latency, energy and file size, by the million."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from compression.cost import Band, band
from compression.suitability import untimed
from selector import accuracy
from selector.accuracy import AccuracyModel, Lessons
from selector.action_space import ActionSpace
from selector.cell_prices import DAMAGE, ENERGY, LATENCY, MACS, PARAMS, SIZE
from selector.changes import SingleChanges, polish
from selector.local_search import climb
from selector.prediction_check import Check, check
from selector.pricing import CostTables, RowState
from selector.tables import WIDTH_STEPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compression.cost import DeviceProfile
    from selector.local_search import Value
    from selector.tables import Array, IntArray, StudyTables

_CORNERS = 12
_MOST_CLIMBED = (
    200  # decisions: in deeper networks many change at a time, from the network as it came
)

WEIGHT_OF_RECOVERED = 3
"""A fully recovered recipe tells as much about the final accuracy as that many others: the next answer will be much like it."""

LEAST_BEST_LOG2 = 0.1
"""A target where nothing can be gained must not make a small loss look enormous."""


class Scale(NamedTuple):
    """Of a target: ms, mJ and bytes ``[3]`` of the network as it came, and log2 of the best attainable ratios."""

    target: DeviceProfile
    base: Array
    best_log2: Array


class Metrics(NamedTuple):
    """Predictions, all of one shape: points lost, ms, mJ, bytes of the file, MACs, parameters."""

    drop_points: Array
    latency_ms: Array
    energy_mj: Array
    size_bytes: Array
    macs: Array
    params: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """A recipe that was built: its configuration, and what it turned out to be.

    Attributes:
        drop_points: points lost on the search examples, one standard error included.
        kl: to the original before fine-tuning, in nats.
        size_bytes: of the file; 0 when it was not exported.
        host_ratio: times as fast as the original here; 0 when it was not timed.
        recovered: whether it was fine-tuned in full, not only briefly.
        trained: the share of a full recovery's steps that it was fine-tuned for.
        pairs: of its changes to one row, with their KL, that were measured along with it; see
            ``StudyTables.pair_cells``.
    """

    config: tuple[int, ...]
    drop_points: float
    kl: float = 0.0
    size_bytes: int = 0
    host_ratio: float = 0.0
    recovered: bool = False
    trained: float = 1.0
    pairs: tuple[tuple[tuple[int, ...], float], ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Validated:
        """Read a row of ``candidates.json``, or an attempt of ``recover.json``."""
        return cls(
            config=tuple(int(index) for index in values["config"]),
            drop_points=float(values["drop_points"]),
            kl=float(values["kl"]),
            size_bytes=int(values["size_bytes"]),
            host_ratio=float(values["host_ratio"]),
            recovered=bool(values.get("recovered", False)),
            trained=float(values.get("trained", 1.0)),
            pairs=tuple((tuple(cell), float(kl)) for cell, kl in values.get("pairs", ())),
        )


class Surrogate:
    """The study's tables with an accuracy model on top.

    Attributes:
        tables: what the study measured.
        space: the decisions; a configuration is a row of action indices.
        model: the accuracy model; before any validation it is a guess with a wide band.
        untuned: the same for recipes that are not fine-tuned; None before enough candidates were built.
    """

    def __init__(self, tables: StudyTables, model: AccuracyModel | None = None) -> None:
        self.tables = tables
        self.space = ActionSpace(tables)
        self.model = model or AccuracyModel(cap=_most_points(tables))
        self.untuned: AccuracyModel | None = None
        self._costs: dict[tuple[str, ...], CostTables] = {}
        self._scales: dict[str, Scale] = {}
        base = tables.macs[:, 0, 0, 0].sum(), tables.params[:, 0, 0, 0].sum()
        self._base_macs, self._base_params = float(base[0]), float(base[1])

    def costs(self, targets: Sequence[DeviceProfile]) -> CostTables:
        """The tables priced for those targets; made once, and again for a profile that has changed."""
        key = tuple(target.name for target in targets)
        if key not in self._costs or self._costs[key].targets != tuple(targets):
            self._costs[key] = CostTables(self.tables, self.space, targets)
        return self._costs[key]

    def evaluate(self, configs: IntArray, target: DeviceProfile) -> Metrics:
        """Predictions ``[B]`` for configurations ``[B, D]`` on a target."""
        return self.metrics(self.costs((target,)).totals(configs))

    def metrics(self, totals: Array) -> Metrics:
        """Predictions ``[...]`` from totals ``[..., 7]``, see ``selector.cell_prices``."""
        return Metrics(
            self.drop_points(totals),
            totals[..., LATENCY],
            totals[..., ENERGY],
            totals[..., SIZE],
            totals[..., MACS],
            totals[..., PARAMS],
        )

    def drop_points(self, totals: Array) -> Array:
        """``[...]`` predicted points lost."""
        return self.model.predict(self.features(totals))

    def point_slopes(self, totals: Array, least_damage: float) -> Array:
        """``[K, 3]`` points lost for one more unit of damage, MACs and parameters, at totals ``[K, 7]``.

        Where there is next to no damage, the slope at ``least_damage``.
        """
        damage = np.maximum(totals[:, DAMAGE], least_damage)
        at = totals.copy()
        at[:, DAMAGE] = damage
        steps = self.model.slopes(self.features(at))
        left = np.maximum(totals[:, [MACS, PARAMS]], 1.0)
        return np.concatenate(
            [2.0 * steps[:, :1] / damage[:, None], -steps[:, 1:] / left], axis=1
        )

    def features(self, totals: Array) -> Array:
        """``[..., 3]`` what the accuracy model looks at."""
        return accuracy.features(
            totals[..., DAMAGE],
            self._base_macs / np.maximum(totals[..., MACS], 1.0),
            self._base_params / np.maximum(totals[..., PARAMS], 1.0),
        )

    def band(
        self, target: DeviceProfile, quantity: str = "latency", macs: float | None = None
    ) -> Band:
        """How far predictions of ``latency`` or ``energy`` on a target may be off, see ``cost.band``.

        Without ``macs`` of a recipe, those of the original.
        Of times on this computer the study itself has measured how far.
        """
        if target.measured_here and quantity == "latency":
            share = self.tables.host_band
            return Band(1.0 - share, 1.0 + share, target.label)
        kinds = self.tables.meta.get("unmeasured", ())
        size = self._base_macs if macs is None else macs
        return band(target, quantity, size, has_untimed=bool(untimed(target, kinds)))

    def baseline(self, target: DeviceProfile) -> Metrics:
        """Predictions (shape ``[]``) for the network as it came."""
        return Metrics(*(column[0] for column in self.evaluate(self.space.untouched(), target)))

    def network_features(self, config: IntArray) -> Array:
        """``[9]`` what a whole network of configuration ``[D]`` computes, see ``compression.cost.FEATURES``."""
        state = self.row_state(config)
        rows = np.arange(len(self.tables.layers))
        low = np.floor(state.inputs + 1e-9).astype(np.int64)
        high = np.minimum(low + 1, len(WIDTH_STEPS) - 1)
        outputs = state.outputs.astype(np.int64)
        lower, upper = (
            self.tables.features[rows, state.structures, step, outputs] for step in (low, high)
        )
        share = np.clip(state.inputs - low, 0.0, 1.0)[:, None]
        found = (lower + share * (upper - lower))[~state.gone]
        return np.asarray(found.sum(axis=0))

    def row_state(self, config: IntArray) -> RowState:
        """What each row is like in configuration ``[D]``: arrays ``[L]``."""
        costs = self.costs(self._any_target())
        every = costs.state(config[None], np.arange(costs.n_rows))
        return RowState(*(values[0] for values in every))

    def scale(self, target: DeviceProfile) -> Scale:
        """What gains on a target are measured by; looked up once."""
        known = self._scales.get(target.name)
        if known is None or known.target is not target:
            known = self._scales[target.name] = self._scale(target)
        return known

    def best_log2(self, target: DeviceProfile) -> Array:
        """``[3]`` log2 of the best attainable ratio to the baseline: latency, energy, storage.

        Found by climbing from several corners, accuracy aside; at least ``LEAST_BEST_LOG2``.
        """
        return self.scale(target).best_log2

    def refit(self, validated: Sequence[Validated]) -> Surrogate:
        """The same tables with the accuracy model fitted to candidates that were built."""
        prior = AccuracyModel(cap=_most_points(self.tables))
        return Surrogate(self.tables, prior.fitted(self._lessons(validated)))

    def believing(self, rng: np.random.Generator) -> Surrogate:
        """The same tables under an accuracy model drawn from those that what was built leaves possible."""
        return self._under(self.model.drawn(rng))

    def hopeful(self, errors: float) -> Surrogate:
        """The same tables where all recipes lose less than predicted, by so many standard errors of a prediction."""
        return self._under(self.model.hopeful(errors))

    def _under(self, model: AccuracyModel) -> Surrogate:
        other = Surrogate.__new__(Surrogate)
        other.__dict__.update(self.__dict__, model=model)
        return other

    def checked(self, validated: Sequence[Validated]) -> Check:
        """How far predictions of built candidates are off when each is left out in turn, with its pairs."""
        lessons = self._lessons(validated)
        alone = lessons.features.copy()
        for row, candidate in enumerate(validated):
            if candidate.pairs:
                rest = [other for other in validated if other is not candidate]
                tables = self.tables.with_pairs(_without(self.tables, candidate, rest))
                alone[row] = self._features_of(tables, [candidate])[0]
        return check(self.model, lessons, alone)

    def hoped(self, validated: Sequence[Validated]) -> list[Validated]:
        """Candidates that were trained briefly, as they will probably be when they are recovered in full."""
        if not validated:
            return []
        lessons = self._lessons(validated)
        points = self.model.hoped(
            lessons.features, lessons.drop_points, np.asarray(lessons.trained)
        )
        return [
            replace(row, drop_points=float(lost))
            for row, lost in zip(validated, points, strict=True)
        ]

    def _lessons(self, validated: Sequence[Validated]) -> Lessons:
        each = [
            (row.drop_points, row.trained, WEIGHT_OF_RECOVERED if row.recovered else 1.0)
            for row in validated
        ]
        columns = np.array(each, dtype=np.float64).reshape(-1, 3).T
        return Lessons(self._features_of(self.tables, validated), *columns)

    def _features_of(self, tables: StudyTables, validated: Sequence[Validated]) -> Array:
        configs = self._legal_configs(validated)
        return self.features(CostTables(tables, self.space, self._any_target()).totals(configs))

    def predicts_as(self, other: Surrogate) -> bool:
        """Whether both predict the same of every recipe of one study."""
        return (
            self.model == other.model
            and self.tables.known_pairs == other.tables.known_pairs
            and np.array_equal(self.tables.host_ms, other.tables.host_ms)
            and np.array_equal(self.tables.host_offset_ms, other.tables.host_offset_ms)
        )

    def _legal_configs(self, validated: Sequence[Validated]) -> IntArray:
        shape = (len(validated), self.space.n_decisions)
        configs = np.array([candidate.config for candidate in validated], dtype=np.int64)
        return configs.reshape(shape)

    def _any_target(self) -> tuple[DeviceProfile, ...]:
        """Damage and capacity are the same on every target."""
        known = next(iter(self._costs.values()), None)
        if known is not None:
            return known.targets[:1]
        from compression.cost import device_names, load_device

        return (load_device(device_names()[0]),)

    def _scale(self, target: DeviceProfile) -> Scale:
        costs = self.costs((target,))
        base = costs.totals(self.space.untouched())[0]
        found = []
        for column in (LATENCY, ENERGY, SIZE):

            def saved(totals: Array, column: int = column) -> Array:
                return -totals[..., column]

            least = float(self._climbed(costs, saved)[:, column].min())
            found.append(np.log2(float(base[column]) / max(least, 1e-12)))
        best = np.asarray(np.maximum(found, LEAST_BEST_LOG2))
        return Scale(target, base[[LATENCY, ENERGY, SIZE]], best)

    def _climbed(self, costs: CostTables, value: Value) -> Array:
        """``[B, 7]`` totals where climbs from several corners end; in deep networks one from the untouched."""
        space = self.space
        if space.n_decisions > _MOST_CLIMBED:
            start = costs.priced(space.untouched())
            return polish(SingleChanges(costs), start, space.mask, value).totals
        starts = space.sample(space.mask, _CORNERS, np.random.default_rng(0))
        starts = np.concatenate([space.untouched(), starts])
        return costs.totals(climb(costs, starts, space.mask, value))


def _without(
    tables: StudyTables, candidate: Validated, others: Sequence[Validated]
) -> dict[tuple[int, ...], float]:
    """The pairs that are known without what only that candidate has told."""
    told = {cell for other in others for cell, _ in other.pairs}
    own = {cell for cell, _ in candidate.pairs} - told
    return {cell: kl for cell, kl in tables.known_pairs.items() if cell not in own}


def _most_points(tables: StudyTables) -> float:
    """What is lost when only guessing is left, in points."""
    base = float(tables.meta.get("accuracy", 1.0))
    classes = int(tables.meta.get("n_classes", 2))
    chance = 1.0 / classes if classes > 1 else 0.0  # values are not guessed
    return max(1.0, 100.0 * (base - chance))
