"""What each part of the method is worth: the product with one part left out, everything else as it is.

``python -m benchmarks.ablations NAME stage STAGE FOLDER`` is the engine's command line without that part, ``-`` with all
of them; ``benchmarks.paper`` calls it. A study is taken up where the part first matters. The limit on time says how
many steps are done, but no clock ends them: a busy machine makes the tables of an idle one, only later.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from compression.types import BUILD_STAGES, STUDY_STAGES, Stage
from selector.jobfolder import JobFolder
from selector.tables import StudyTables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

NOTHING = "-"
"""Left out by name: no part."""

STAGES = (*STUDY_STAGES, *BUILD_STAGES)

FORBIDDEN_KL = 1e4
"""Nats that are said of what may not be chosen: no limit on accuracy lets it pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """One part left out.

    ``first`` is the first stage that differs; ``patches`` are what stands in its place, by dotted name, made
    when the stage runs; ``tables`` changes what PROBE measured.
    """

    text: str
    first: Stage
    patches: Callable[[], Mapping[str, Any]] = dict
    tables: Callable[[StudyTables], StudyTables] | None = None


def begin(name: str, study: Path, folder: Path) -> None:
    """A copy of a whole study in which everything from the ablation's first stage on is still to do."""
    ablation = ABLATIONS[name]
    shutil.copytree(study, folder, dirs_exist_ok=True)
    for stage in STAGES[STAGES.index(ablation.first) :]:
        shutil.rmtree(folder / stage.value, ignore_errors=True)
    if ablation.tables:
        job = JobFolder(folder)
        path = job.stage_path(Stage.PROBE, "tables.npz")
        job.write_with(Stage.PROBE, path.name, ablation.tables(StudyTables.load(path)).save)


def one_change_a_layer(tables: StudyTables) -> StudyTables:
    """No layer is narrowed, rebuilt and thinned at once; what concerns the whole network stays free."""
    alone = np.array([[len(s) < 2 for s in row] for row in _padded(tables)])
    pairs: dict[tuple[int, ...], float] = {}
    for row in range(len(tables.layers)):
        thinnings, structures = (
            np.flatnonzero(mask[row])[1:]
            for mask in (tables.mask_thinning, tables.mask_structure)
        )
        widths = range(1, tables.widths.shape[1])
        pairs |= {
            tuple(map(int, cell)): FORBIDDEN_KL
            for cell in (
                *((row, v, s, 0) for v, s in product(thinnings, structures)),
                *((row, 0, s, w) for s, w in product(structures, widths)),
                *((row, v, 0, w) for v, w in product(thinnings, widths)),
            )
        }
    return replace(tables, mask_structure=tables.mask_structure & alone).with_pairs(pairs)


def _padded(tables: StudyTables) -> list[list[tuple[object, ...]]]:
    count = tables.mask_structure.shape[1]
    return [[*row, *[()] * (count - len(row))] for row in tables.structures]


def times_by_macs(tables: StudyTables) -> StudyTables:
    """Times of this computer in proportion to multiply-adds, in float as in 8 bits."""
    base_ms = float(tables.meta["host_latency_ms"]["p50"])
    host_ms = tables.macs * (base_ms / tables.macs[:, 0, 0, 0].sum())
    return replace(
        tables,
        host_ms=np.stack([host_ms, host_ms]),
        host_offset_ms=np.zeros_like(tables.host_offset_ms),
        host_fetch=np.zeros_like(tables.host_fetch),
        host_cold=np.zeros_like(tables.host_cold),
    )


def _never(_reporter: object) -> bool:
    return False


def _as_built(network: Any, _reference: object, *, owned: bool = False) -> Any:  # noqa: ARG001
    return network


def _as_before(surrogate: Any, _built: object) -> Any:
    return surrogate


def _own_answer(_question: object, found: Any, _seed: int, *, may_replace: bool) -> Any:  # noqa: ARG001
    from selector.referees import Yardstick
    from selector.reward import INFEASIBLE

    return found, Yardstick(best=INFEASIBLE if found.violated else found.score)


def _by_labels() -> dict[str, Any]:
    from compression.finetuning import FineTuning

    return {"selector.trial.FineTuning": partial(FineTuning, alpha=0.0, feature_weight=0.0)}


def _untimed() -> dict[str, Any]:
    """Candidates and recoveries count as not timed, so that no measured time mends a prediction or a choice."""
    from selector.surrogate import Validated

    class Untimed(Validated):
        """A built recipe that nobody timed."""

        def __init__(self, **facts: Any) -> None:
            super().__init__(**(facts | {"host_ratio": 0.0}))

    stages = ("selector.stages.validate", "selector.stages.recover")
    return {f"{stage}.Validated": Untimed for stage in stages}


ABLATIONS: dict[str, Ablation] = {
    "reconstruction": Ablation(
        text="without fitting weights to the original's answers",
        first=Stage.PROBE,
        patches=lambda: {"compression.building.fitted": _as_built},
    ),
    "distillation": Ablation(
        text="fine-tuned to the labels, not to the original's answers",
        first=Stage.VALIDATE,
        patches=_by_labels,
    ),
    "stacking": Ablation(
        text="one technique a layer, besides the precision of the whole",
        first=Stage.SEARCH,
        tables=one_change_a_layer,
    ),
    "latency": Ablation(
        text="multiply-adds in place of measured times",
        first=Stage.SEARCH,
        patches=_untimed,
        tables=times_by_macs,
    ),
    "refit": Ablation(
        text="predictions that learn nothing from what was built",
        first=Stage.VALIDATE,
        patches=lambda: {
            f"selector.stages.{stage}.learnt": _as_before for stage in ("validate", "recover")
        },
    ),
    "referees": Ablation(
        text="the DQN alone, its answer not refereed",
        first=Stage.RECOVER,
        patches=lambda: {"selector.choosing.refereed": _own_answer},
    ),
}


def patches(name: str) -> dict[str, Any]:
    """What stands in the place of the parts that are left out, and of the clock."""
    left_out = ABLATIONS[name].patches() if name != NOTHING else {}
    return {"selector.reporter.Reporter.ends_early": _never, **left_out}


def main(name: str, arguments: list[str]) -> int:
    """The engine's command line without a part."""
    from selector.__main__ import main as engine

    with ExitStack() as stack:
        for place, stand_in in patches(name).items():
            stack.enter_context(mock.patch(place, stand_in))
        return engine(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
