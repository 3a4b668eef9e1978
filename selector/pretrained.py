"""The agent that comes with the package: what earlier trainings learnt about layers in general. NumPy only."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from selector.policy_network import PolicyWeights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from selector.tables import Array

AGENT = Path(__file__).parent / "agents" / "general.npz"
"""Made by ``benchmarks/pretrain.py``; its card lies beside it."""


@cache
def pretrained() -> Mapping[str, Array]:
    """The arrays to start a training from, whatever the network."""
    return PolicyWeights.load(AGENT).arrays
