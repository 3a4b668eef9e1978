"""The trained agent as plain arrays, and its forward pass in NumPy: no torch where sliders are answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from selector.tables import Array, IntArray

_EPSILON = 1e-5  # as in torch.nn.LayerNorm

_ONE_THREAD = 200_000
"""Multiplications that OpenBLAS does on one thread: waking others costs more, most on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyWeights:
    """A dueling network, the targets it was trained for, and good configurations it found.

    Attributes:
        arrays: ``.weight`` and ``.bias`` of ``hidden<i>``, ``norm<i>``, ``value``, ``advantage``.
        targets: names of the targets in the order of training.
        anchors: ``[K, D]`` the recipes it completes beginnings with.
        pool: ``[N, D]`` distinct good configurations for many wishes.
        facts: JSON-able notes about the training (seed, updates, last averages).
    """

    arrays: Mapping[str, Array]
    targets: tuple[str, ...]
    anchors: IntArray
    pool: IntArray
    facts: Mapping[str, Any] = field(default_factory=dict)

    def values(self, vectors: Array) -> Array:
        """``[B, A]`` the future reward after each action, from observations ``[B, n]``.

        The immediate reward is not in it; add ``Observation.gain`` to rank actions.
        """
        hidden = vectors
        for layer in range(sum(name.startswith("hidden") for name in self.arrays) // 2):
            hidden = self._normed(f"norm{layer}", self._linear(f"hidden{layer}", hidden))
            hidden = np.maximum(hidden, 0.0)
        advantage = self._linear("advantage", hidden)
        centred = advantage - advantage.mean(axis=1, keepdims=True)
        return np.asarray(self._linear("value", hidden) + centred)

    def save(self, path: Path) -> None:
        """Write everything to one ``.npz`` without pickled objects."""
        facts = {"targets": list(self.targets), "facts": dict(self.facts)}
        arrays: dict[str, Any] = {f"network/{k}": array for k, array in self.arrays.items()}
        arrays |= {
            "anchors": self.anchors,
            "pool": self.pool,
            "facts": np.array(json.dumps(facts)),
        }
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> PolicyWeights:
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            prefix = "network/"
            names = [name for name in stored.files if name.startswith(prefix)]
            return cls(
                arrays={name.removeprefix(prefix): stored[name] for name in names},
                targets=tuple(facts["targets"]),
                anchors=stored["anchors"],
                pool=stored["pool"],
                facts=facts["facts"],
            )

    def _normed(self, name: str, inputs: Array) -> Array:
        centred = inputs - inputs.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + _EPSILON)
        weight, bias = self.arrays[f"{name}.weight"], self.arrays[f"{name}.bias"]
        return np.asarray(centred / spread * weight + bias)

    def _linear(self, name: str, inputs: Array) -> Array:
        return np.asarray(
            inputs @ self.arrays[f"{name}.weight"].T + self.arrays[f"{name}.bias"]
        )
