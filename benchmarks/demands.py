"""What the product is asked for in the paper's tables: goals, limits, a device, a selector, what may be used.

Limits on time and size are shares of the original's, as INSPECT shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.ablations import ABLATIONS
from compression.types import NETWORK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.task import Task

EVENLY = {"accuracy": 0.25, "latency": 0.25, "energy": 0.25, "storage": 0.25}
PHONE = "redmi-3s"
UNIFORM = (0.25, 0.5, 0.75)
THOROUGH = 10.0
NOT_LEARNT = ("greedy", "random", "genetic")
"""Selectors that answer in place of the trained agent, each judged by the referees as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One row of a table.

    ``alone`` names the only technique that may be used; ``uniform`` is a share of channels that is removed
    everywhere, chosen by hand, in 8 bits; ``without`` names the part of the method that is left out;
    ``patience`` is how many times the task's limit of time the study and the build get.
    """

    text: str
    group: str = "demand"
    goals: Mapping[str, float] = field(default_factory=lambda: EVENLY)
    points: float = 1.0
    faster: float | None = None
    smaller: float | None = None
    target: str = "this-host"
    selector: str = "dqn"
    alone: str = ""
    uniform: float | None = None
    without: str = ""
    patience: float = 1.0

    def budgets(self, latency_ms: float, size_bytes: int) -> dict[str, float]:
        """The limits for an original of that time and size."""
        found = {"max_accuracy_drop": self.points}
        if self.faster:
            found["max_latency_ms"] = latency_ms / self.faster
        if self.smaller:
            found["max_size_bytes"] = int(size_bytes / self.smaller)
        return found

    def locks(self, layers: Sequence[str], techniques: Sequence[str]) -> dict[str, Any]:
        """What keeps everything but one technique away; empty where all are allowed."""
        if not self.alone:
            return {}
        others = [name for name in techniques if name != self.alone]
        return {layer: {"exclude": others} for layer in (*layers, NETWORK)}


ALONE = (
    *("svd", "sparse_coding", "magnitude_pruning", "sparse_decomposition"),
    *("depthwise_separable", "random_sparse", "fire", "micro_mlp", "global_average_pooling"),
    *("filter_pruning", "pool_to_stride", "int8", "weight_clustering"),
)
"""The paper's ten (SVD stands for W1 and C1), and the strongest of ours."""


def demands(task: Task) -> dict[str, Demand]:
    """Every row that is asked for, by name, the most telling first."""
    found = {
        "everything": Demand(
            text=f"{task.faster:g}x as fast, {task.smaller:g}x smaller, one point",
            goals={"accuracy": 0.5, "latency": 0.25, "storage": 0.25},
            faster=task.faster,
            smaller=task.smaller,
        ),
        "even": Demand(text="four equal goals, one point"),
        "fast": Demand(text="latency first, one point", goals=_mostly("latency")),
        "small": Demand(text="storage first, one point", goals=_mostly("storage")),
        "frugal": Demand(
            text="energy of a Redmi 3S first, one point", goals=_mostly("energy"), target=PHONE
        ),
        "careful": Demand(text="four equal goals, a fifth of a point", points=0.2),
        "thorough": Demand(
            text=f"four equal goals, one point, {THOROUGH:g} times the fine-tuning",
            group="thorough",
            patience=THOROUGH,
        ),
        "impossible": Demand(
            text="100x as fast and 500x smaller, one point", faster=100, smaller=500
        ),
        "classic": Demand(
            text="the published selector, four equal goals, one point",
            selector="classic",
            group="selector",
        ),
    }
    found |= {
        name: Demand(
            text=f"{name}, four equal goals, one point", selector=name, group="selector"
        )
        for name in NOT_LEARNT
    }
    found |= {
        f"uniform-{round(100 * share)}": Demand(
            text=f"{share:.0%} of all channels, 8 bits", uniform=share, group="selector"
        )
        for share in UNIFORM
    }
    found |= {
        f"without-{name}": Demand(text=left_out.text, without=name, group="ablation")
        for name, left_out in ABLATIONS.items()
    }
    return found | {
        f"alone-{name}": Demand(text=f"{name} alone, one point", alone=name, group="alone")
        for name in ALONE
    }


def _mostly(goal: str) -> dict[str, float]:
    return {"accuracy": 0.3, goal: 0.7}
