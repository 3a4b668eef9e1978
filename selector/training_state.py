"""The state of a selector's training on disk: one that was interrupted goes on as if it never had been."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from compression.training_checkpoint import Checkpoint, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray

Point = tuple[int, dict[str, float]]
"""A round and what was reported after it."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a training has come.

    Attributes:
        rounds: done so far.
        average: of the rewards, moving.
        gap: of greedy roll-outs of the best agent yet, that of ``best_round``; ``first_gap`` before the first round.
        history: everything that was reported.
    """

    rounds: int = 0
    average: float = 0.0
    gap: float = 0.0
    first_gap: float = 0.0
    best_round: int = 0
    history: list[Point] = field(default_factory=list)


class State(NamedTuple):
    """All that changes from round to round, the best agent yet, and the recipes that the first pool cost most of the time."""

    learner: Mapping[str, Tensor]
    best: Mapping[str, Array]
    replay: Mapping[str, Array | IntArray]
    pool: IntArray
    rng: Mapping[str, Any]
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where the state of one training is kept; ``identity`` tells it from every other."""

    path: Path
    identity: str

    def write(self, state: State) -> None:
        """Keep this state instead of an earlier one."""
        arrays = {f"replay.{name}": array for name, array in state.replay.items()}
        arrays |= {f"best.{name}": array for name, array in state.best.items()}
        tensors = {n: torch.from_numpy(a) for n, a in {**arrays, "pool": state.pool}.items()}
        tensors |= {f"learner.{name}": tensor for name, tensor in state.learner.items()}
        facts = {
            "training": self.identity,
            "rng": state.rng,
            "progress": asdict(state.progress),
        }
        Checkpoint(tensors=tensors, facts=facts).write(self.path)

    def read(self) -> State | None:
        """The state of this very training, if there is one."""
        found = Checkpoint.read(self.path)
        if found is None or found.facts.get("training") != self.identity:
            return None
        progress = Progress(**found.facts["progress"])
        progress.history = [(done, figures) for done, figures in progress.history]
        return State(
            learner=found.part("learner"),
            best={name: t.numpy() for name, t in found.part("best").items()},
            replay={name: t.numpy() for name, t in found.part("replay").items()},
            pool=found.tensors["pool"].numpy(),
            rng=found.facts["rng"],
            progress=progress,
        )


def identity(
    start: Mapping[str, Array],
    surrogate: Surrogate,
    targets: Sequence[DeviceProfile],
    settings: object,
) -> str:
    """Tells one training from another by the agent, tables and devices that it starts from, and how it is done."""
    tables = surrogate.tables
    arrays = {**start, "kl": tables.kl_structure, "ms": tables.host_ms, "macs": tables.macs}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return fingerprint(tensors, settings, tuple(targets))
