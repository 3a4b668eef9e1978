"""The micro-benchmark graphs that are timed on a device; ``benchmarks/devices/kit.py`` writes them."""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

KIT = Path(__file__).parent / "kit"


class KitGraph(NamedTuple):
    """One graph: its multiply-adds, and the nine terms of the latency model that it exercises."""

    name: str
    input: dict[str, Any]
    macs: int
    features: list[float]

    @property
    def path(self) -> Path:
        return KIT / f"{self.name}.onnx"


@cache
def kit_graphs() -> dict[str, KitGraph]:
    """By name, in the order in which they are run."""
    return {row["name"]: KitGraph(**row) for row in kit_json()["graphs"]}


@cache
def kit_json() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((KIT / "kit.json").read_text(encoding="utf-8"))
    return found
