"""The public tables of measured devices, as arrays.

They lie outside the repository (``ADADEEP_DEVICE_TABLES``, by default ``../shared/devices`` beside the
checkout); ``device_measurements.md`` there says where every row comes from. What they lack is in
``data/``: which hardware a configuration is, the layers of the networks that multiply nothing
(Tencent/ncnn@a4d2ea1d4, benchmark/models/*.param), and MobileNet variants on two more boards
(mlcommons/inference_results_v0.5@f5acb8b, open/dividiti, single stream, 50th percentile).
"""

from __future__ import annotations

import csv
import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from compression.cost import Array

DATA = Path(__file__).parent / "data"
TABLES = Path(
    os.environ.get(
        "ADADEEP_DEVICE_TABLES", Path(__file__).parents[2].parent / "shared" / "devices"
    )
)
MEASUREMENTS = TABLES / "device_measurements.csv"
LAYERS = TABLES / "ncnn_model_layers.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One row of the fit: a cluster of cores of a chip, so many threads, ncnn.

    ``arithmetic`` is what ncnn computes a float model in there: ``fp32``, or ``fp16`` where the cores
    have it. ``chip`` groups configurations that are hidden together.
    """

    configuration: str
    hint: str
    chip: str
    core: str
    clock_ghz: float
    threads: int
    arithmetic: str


def require_tables() -> None:
    """End the script with what to do where the tables are missing."""
    missing = [str(path) for path in (MEASUREMENTS, LAYERS) if not path.is_file()]
    if missing:
        sys.exit(
            f"The public device tables are missing: {', '.join(missing)}. "
            "Set ADADEEP_DEVICE_TABLES to the folder that holds them."
        )


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def configurations() -> tuple[Configuration, ...]:
    """The 93 configurations, in the order of every array here."""
    return tuple(
        Configuration(
            configuration=row["configuration"],
            hint=row["hint"],
            chip=row["chip"],
            core=row["core"],
            clock_ghz=float(row["clock_ghz"]),
            threads=int(row["threads"]),
            arithmetic=row["arithmetic"],
        )
        for row in rows(DATA / "configurations.csv")
    )


@cache
def layer_tables() -> dict[str, dict[str, Any]]:
    """The 24 networks and their layers that multiply."""
    found: dict[str, dict[str, Any]] = json.loads(LAYERS.read_text(encoding="utf-8"))
    return found


def latency_table(*, int8: bool = False) -> Array:
    """``[93, 24]`` milliseconds of float networks, or of their 8-bit forms; not a number where absent."""
    at = {(c.hint, str(c.threads)): index for index, c in enumerate(configurations())}
    columns = {_plain(name): index for index, name in enumerate(layer_tables())}
    found = np.full((len(at), len(columns)), np.nan)
    for row in rows(MEASUREMENTS):
        model = _plain(row["model"]).removesuffix("_int8")
        place = at.get((row["profile_hint"], row["threads"]))
        wanted = row["framework"] == "ncnn" and (row["precision"] == "int8") == int8
        if place is not None and wanted and row["unit"] == "cpu" and model in columns:
            found[place, columns[model]] = float(row["latency_ms"])
    return found


def _plain(name: str) -> str:
    return name.replace("-", "_")
