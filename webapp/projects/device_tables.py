"""On every device, as a file: the tables of the model's page and of the studio, with the ends of their ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    Row = dict[str, Any]

MODEL_COLUMNS = [
    "Device",
    *("Latency, ms", "Latency low, ms", "Latency high, ms", "Latency known as"),
    *("Energy, mJ", "Energy low, mJ", "Energy high, mJ", "Energy known as"),
    "Does not fit because",
]
GAINS = [
    *("latency, ms", "times faster", "energy, mJ", "times less energy"),
    *("size, bytes", "times smaller", "points lost"),
]
ENDS = ["latency low, ms", "latency high, ms", "energy low, mJ", "energy high, mJ"]
RECIPE_COLUMNS = [
    "Device",
    *("Latency known as", "Energy known as"),
    *("Original: latency, ms", "Original: energy, mJ", "Original: size, bytes"),
    *(f"This recipe: {name}" for name in (*GAINS, *ENDS)),
    *(f"Best recipe: {name}" for name in GAINS),
    "Tie",
    *(f"{which} recipe: does not fit because" for which in ("This", "Best")),
]
BANDS = {"latency_ms": "band", "energy_mj": "energy_band"}


class Table(NamedTuple):
    columns: list[str]
    rows: list[list[object]]


def model_table(devices: Iterable[Row]) -> Table:
    """The model as it came; ``devices`` are as ``model_page_json`` tells them."""
    return Table(MODEL_COLUMNS, [_model_row(device) for device in devices])


def recipe_table(devices: Iterable[Row]) -> Table:
    """A recipe and the best known one for each; ``devices`` are as ``devices_compared`` tells them."""
    return Table(RECIPE_COLUMNS, [_recipe_row(device) for device in devices])


def _model_row(device: Row) -> list[object]:
    measured = device["measured"]
    ends = (
        [measured["p10"], measured["p90"]] if measured else _ends(device, device, "latency_ms")
    )
    return [
        device["title"],
        *(device["latency_ms"], *ends, "measured" if measured else device["label"]),
        *(device["energy_mj"], *_ends(device, device, "energy_mj"), device["energy_label"]),
        device["misfit"],
    ]


def _recipe_row(device: Row) -> list[object]:
    original = device["original"]
    return [
        device["title"],
        *(device["label"], device["energy_label"]),
        *(original["latency_ms"], original["energy_mj"], original["size_bytes"]),
        *_gains(device["recipe"]),
        *_ends(device, device["recipe"], "latency_ms"),
        *_ends(device, device["recipe"], "energy_mj"),
        *_gains(device["best"]),
        "yes" if device["tie"] else "no",
        *(device[which]["misfit"] for which in ("recipe", "best")),
    ]


def _gains(recipe: Row) -> list[object]:
    return [
        *(recipe["latency_ms"], recipe["times_faster"]),
        *(recipe["energy_mj"], recipe["times_less_energy"]),
        *(recipe["size_bytes"], recipe["times_smaller"], recipe["drop_points"]),
    ]


def _ends(device: Row, priced: Row, key: str) -> list[float]:
    """Between which milliseconds or millijoules the truth lies nine times in ten."""
    low, high = device[BANDS[key]]
    return [priced[key] * low, priced[key] * high]
