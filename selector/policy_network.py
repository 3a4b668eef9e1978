"""The trained agent as plain arrays, and its forward pass in NumPy: no torch where sliders are answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from selector.observation import Observation
    from selector.tables import Array, IntArray

ARRAYS = (
    *(
        f"{layer}.{part}"
        for layer in ("state", "hidden", "context", "value")
        for part in ("weight", "bias")
    ),
    *("action.weight", "advantage.weight"),
)
"""What a network consists of, see ``q_network.QNetwork``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyWeights:
    """A dueling network, the targets it was trained for, and good configurations it found.

    Attributes:
        arrays: ``.weight`` and ``.bias`` of the layers of ``q_network.QNetwork``; the same shapes for every study.
        targets: names of the targets in the order of training.
        pool: ``[N, D]`` distinct good configurations of one study for many wishes; the first is untouched.
        facts: JSON-able notes about the training (seed, rounds, settings).
    """

    arrays: Mapping[str, Array]
    targets: tuple[str, ...]
    pool: IntArray
    facts: Mapping[str, Any] = field(default_factory=dict)

    def values(self, seen: Observation) -> Array:
        """``[B, A]`` the potential that each action leads to: the outlook, corrected."""
        hidden = np.maximum(self._linear("state", seen.state), 0.0)
        hidden = np.maximum(self._linear("hidden", hidden), 0.0)
        joined = seen.actions @ self.arrays["action.weight"].T
        joined += self._linear("context", hidden)[:, None]
        np.maximum(joined, 0.0, out=joined)
        advantage = joined @ self.arrays["advantage.weight"][0]
        mean = (advantage * seen.legal).sum(axis=1, keepdims=True)
        mean /= seen.legal.sum(axis=1, keepdims=True)
        return np.asarray(seen.outlook + self._linear("value", hidden) + advantage - mean)

    def save(self, path: Path) -> None:
        """Write everything to one ``.npz`` without pickled objects."""
        facts = {"targets": list(self.targets), "facts": dict(self.facts)}
        arrays: dict[str, Any] = {f"network/{k}": array for k, array in self.arrays.items()}
        arrays |= {"pool": self.pool, "facts": np.array(json.dumps(facts))}
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> PolicyWeights:
        """Read what ``save`` wrote.

        Raises:
            KeyError: when another version wrote it, whose network consists of other arrays.
        """
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            return cls(
                arrays={name: stored[f"network/{name}"] for name in ARRAYS},
                targets=tuple(facts["targets"]),
                pool=stored["pool"],
                facts=facts["facts"],
            )

    def _linear(self, name: str, inputs: Array) -> Array:
        return np.asarray(
            inputs @ self.arrays[f"{name}.weight"].T + self.arrays[f"{name}.bias"]
        )
