"""What the model predicted of networks that were measured on a device, while they were hidden from it.

``device_evidence.json`` is output of ``python -m benchmarks.devices.fit``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

EVIDENCE = Path(__file__).parent / "device_evidence.json"


class Evidence(NamedTuple):
    """One network on a device: measured there, and predicted by a fit that had not seen it anywhere."""

    network: str
    measured_ms: float
    predicted_ms: float


def evidence(device: str) -> tuple[Evidence, ...]:
    """All there is about a device of the catalogue; nothing where nobody measured its chip."""
    return tuple(Evidence(*row) for row in _known().get(device, []))


@cache
def _known() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = json.loads(EVIDENCE.read_text(encoding="utf-8"))
    return found
