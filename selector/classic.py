"""AdaDeep as published: two DQN agents pick techniques, then DDPG sets their levels, anew for each demand.

S. Liu et al., MobiSys 2018 and IEEE TMC 2020. Where we differ: recipes are judged by the study's
surrogate instead of being built and fine-tuned in each episode; a continuous level becomes the nearest
that was probed; and of all recipes seen, one that keeps the request's limits is preferred to any that
does not, since the relaxed reward alone lets one surplus pay for another's breach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from compression.analytic_cost import ANALYTIC
from compression.types import LayerKind
from selector.baselines import Baseline
from selector.classic_actions import paper_layers
from selector.classic_figures import Figures
from selector.classic_phases import Judge, LevelPhase, TechniquePhase, tuned
from selector.classic_reward import Demand
from selector.classic_settings import Answer, ClassicSettings, View, changed_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compression.cost import DeviceProfile
    from selector.classic_actions import Choice, PaperLayer
    from selector.selection import Prepared, Question
    from selector.surrogate import Surrogate
    from selector.tables import IntArray
    from selector.types import Budgets, Goals, Lock, Selection

PUBLISHED_FORM = "AdaDeep as published: two DQN agents pick among its ten techniques, then DDPG sets their levels"
"""How reports name this selector."""

_COUNTED = {
    View.DEVICE: "Its reward counts what is predicted for the target.",
    View.ANALYTIC: "Its reward counts multiply-adds, weights and activations, which is analytic "
    "(paper): millijoules counted so are not those of power times time shown here.",
}

Report = Callable[[int, int, dict[str, float]], bool]
"""``report(episodes done, episodes in all, figures)``; when it answers false, the search ends."""


class Classic(Baseline):
    """Searches for one demand; goals become the weights of the published reward, see ``ClassicSettings``.

    ``report`` hears after each round of ``phase``, ``reward``, ``loss``, ``epsilon`` (or ``noise``) and
    ``best``, the reward of the best recipe so far. Repeats for a seed, on any number of threads.
    """

    name = "classic"

    def __init__(
        self,
        surrogate: Surrogate,
        seed: int = 0,
        settings: ClassicSettings | None = None,
        report: Report | None = None,
    ) -> None:
        super().__init__(surrogate, seed)
        self._settings = settings or ClassicSettings()
        self._report = report or _silent
        self._scored = 0

    def select(
        self,
        goals: Goals,
        budgets: Budgets,
        target: DeviceProfile,
        locks: Mapping[str, Lock] | None = None,
    ) -> Selection:
        """The best recipe of all episodes, with how many were scored; see ``Policy.select``."""
        found = super().select(goals, budgets, target, locks)
        return replace(found, scored=self._scored)

    def _search(self, question: Prepared) -> IntArray:
        search = Search(question, self._settings, self.seed, self._report)
        with _one_thread():
            found = search.run()
        self._scored = search.judge.scored
        return found


def published_note(settings: ClassicSettings) -> str:
    """The sentence that says which selector answered, and what it counted."""
    return f"Recipe chosen by {PUBLISHED_FORM}. {_COUNTED[settings.view]}"


def published_facts(
    question: Question, settings: ClassicSettings, config: IntArray
) -> dict[str, Any]:
    """What a report says of the published form: the demand, and what the paper would count.

    Counts are of the original and of a configuration ``[D]``, and are predictions of nothing: they stand
    apart from milliseconds and millijoules.
    """
    prepared = question.prepared()
    judge = Search(prepared, settings, 0, _silent).judge
    both = np.stack([prepared.costs.space.untouched()[0], config])
    energy_mj, macs, bits = judge.figures.analytic(both)
    counts = {"energy_mj": energy_mj, "latency_macs": macs, "storage_bits": bits}
    return {
        "form": PUBLISHED_FORM,
        "demand": judge.demand.to_json(),
        "switches": changed_settings(settings),
        ANALYTIC: {
            name: dict(zip(("baseline", "result"), values.tolist(), strict=True))
            for name, values in counts.items()
        },
    }


class Search:
    """Both phases, as many times as the settings say.

    Attributes:
        layers: what the agents are asked about.
        judge: scores recipes, knows the demand and the best so far.
    """

    def __init__(
        self, question: Prepared, settings: ClassicSettings, seed: int, report: Report
    ) -> None:
        self._settings, self._seed, self._report = settings, seed, report
        space = question.costs.space
        self.layers = [
            layer
            for kind in (LayerKind.CONV, LayerKind.DENSE)
            for layer in paper_layers(space, question.mask, kind, stacked=settings.stacked)
        ]
        figures = Figures(question, settings)
        drawn = _drawn(question, self.layers, settings.range_samples)
        self.judge = Judge(question, figures, Demand.of(question, settings, figures, drawn))
        self.judge.scored += len(drawn)
        self._episodes_done, self._stopped = 0, False
        self._episodes = settings.passes * (settings.episodes + settings.tuning_episodes)

    def run(self) -> IntArray:
        """``[D]`` the answer of as many passes as the settings ask for."""
        found = self.judge.best
        for _ in range(self._settings.passes if self.layers else 0):
            found = self.run_levels(self.run_techniques())
            if self._stopped:
                return self.judge.best
            self.layers = [_at_levels(layer, found) for layer in self.layers]
        return found

    def run_techniques(self) -> IntArray:
        """``[D]`` the answer of a first phase."""
        phase = TechniquePhase(self.judge, self.layers, self._settings, self._next_seed())
        return self._played(phase, 1, self._settings.episodes)

    def run_levels(self, recipe: IntArray) -> IntArray:
        """``[D]`` the answer of a second phase upon a recipe; the same where nothing has levels."""
        phase = LevelPhase(self.judge, self.layers, recipe, self._settings, self._next_seed())
        return (
            recipe if phase.is_idle else self._played(phase, 2, self._settings.tuning_episodes)
        )

    def _played(
        self, phase: TechniquePhase | LevelPhase, number: int, episodes: int
    ) -> IntArray:
        """Play all episodes of a phase, unless stopped; its answer."""
        size = self._settings.episodes_per_round
        for start in range(0, episodes, size):
            if self._stopped:
                break
            count = min(size, episodes - start)
            figures = phase.round(count)
            self._episodes_done += count
            told = {"phase": float(number), **figures, "best": self.judge.best_reward}
            self._stopped = not self._report(self._episodes_done, self._episodes, told)
        last = phase.greedy()
        self.judge.terms(last[None])
        return last if self._settings.answer is Answer.GREEDY else self.judge.best

    def _next_seed(self) -> int:
        """Another for each phase."""
        self._seed += 1000
        return self._seed


def _drawn(question: Prepared, layers: Sequence[PaperLayer], count: int) -> IntArray:
    """``[count, D]`` recipes with an option for each layer drawn evenly, and the untouched one first."""
    rng = np.random.default_rng(0)
    configs = np.repeat(question.start(), count, axis=0)
    for layer in layers:
        options = list(layer.options.values())
        drawn = rng.integers(0, len(options), count)
        for number, option in enumerate(options):
            for choice in option:
                places = rng.integers(0, len(choice.levels), count)
                rows = drawn == number
                configs[rows, choice.decision] = np.array(choice.levels)[places[rows]]
    return np.concatenate([question.start(), question.costs.space.canonical(configs)])


def _at_levels(layer: PaperLayer, config: IntArray) -> PaperLayer:
    """The layer with the levels of a recipe as its defaults."""
    found = {
        choice.label: choice.levels.index(int(config[choice.decision]))
        for choice in tuned(layer, config)
    }

    def moved(choice: Choice) -> Choice:
        return replace(choice, default=found.get(choice.label, choice.default))

    options = {
        labels: tuple(moved(choice) for choice in option)
        for labels, option in layer.options.items()
    }
    return replace(layer, options=options)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from threads, and sums come out the same on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _silent(_done: int, _total: int, _figures: dict[str, float]) -> bool:
    return True
