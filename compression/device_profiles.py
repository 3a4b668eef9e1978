"""The catalogue of target devices: one TOML file each, read strictly.

A file says by hand what is known of the hardware, each figure with its source, and ends with ``[fit]``,
which ``python -m benchmarks.devices.fit`` writes from public measurements. A figure carries its unit in
its name; an unknown key, a missing one and a figure without a source fail with file and key.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from compression.errors import CompressionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DEVICES = Path(__file__).parent / "devices"

MAC_TYPES = ("conv3x3_s1", "conv_kxk", "conv1x1", "depthwise", "group_conv", "fc")
ARITHMETICS = ("fp32", "fp16", "int8")
LABELS = ("measured", "calibrated", "same chip", "similar chip", "rough")
FAMILIES = ("host", "phone", "watch", "board", "box", "microcontroller")
"""In the order of the catalogue."""

FROM_MEMORY = "from memory"
"""A source that holds these words, in any case, is shown as such."""

CONV_1D = "conv_1d"
"""Not a figure: under this name sources say that one-dimensional convolutions were timed for a profile."""

_FIGURE, _FROM_ZERO, _TEXT, _FLAG, _COUNT, _PAIR, _TABLE = (
    "a number",
    "a number or zero",
    "text",
    "true or false",
    "a whole number",
    "two numbers",
    "a table",
)
_OF: dict[str, Callable[[Any], bool]] = {
    _FIGURE: lambda v: (
        isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < math.inf
    ),
    _FROM_ZERO: lambda v: v == 0 or _OF[_FIGURE](v),
    _COUNT: lambda v: isinstance(v, int) and not isinstance(v, bool) and v > 0,
    _TEXT: lambda v: isinstance(v, str),
    _FLAG: lambda v: isinstance(v, bool),
    _PAIR: lambda v: (
        isinstance(v, list) and len(v) == 2 and all(isinstance(x, int | float) for x in v)
    ),
    _TABLE: lambda v: isinstance(v, dict),
}
_SECTIONS: dict[str, dict[str, str]] = {
    "": {"title": _TEXT, "chip": _TEXT, "family": _TEXT, "note": _TEXT, "paper": _FLAG},
    "hardware": {
        "core": _TEXT,
        "clock_ghz": _FIGURE,
        "ram_mb": _FIGURE,
        "flash_kb": _FIGURE,
        "memory_gb_s": _FIGURE,
        "battery_mwh": _FIGURE,
    },
    "latency": {
        "runtime": _TEXT,
        "threads": _COUNT,
        "arithmetic": _TEXT,
        "tables": _TEXT,
        "speed_of_tables": _FIGURE,
        "assumed": _FLAG,
        "measured_here": _FLAG,
        "latency_log_sd": _FIGURE,
    },
    "energy": {
        "label": _TEXT,
        "power_w": _FIGURE,
        "power_relative_sd": _FIGURE,
        "dram_pj_per_byte": _FROM_ZERO,
    },
    "fit": {
        "label": _TEXT,
        "rate_gmacs": _TABLE,
        "activation_gb_s": _FIGURE,
        "weight_gb_s": _FIGURE,
        "overhead_ms": _FIGURE,
        "int8_dense": _FIGURE,
        "int8_depthwise": _FIGURE,
        "latency_log_sd": _FIGURE,
        "calibrated_macs": _PAIR,
        "source": _TEXT,
    },
}
_FIT_FIGURES = tuple(key for key, kind in _SECTIONS["fit"].items() if kind is _FIGURE)
_OPTIONAL = {
    "": {"paper"},
    "hardware": set(_SECTIONS["hardware"]),
    "latency": {"tables", "speed_of_tables", "assumed", "measured_here", "latency_log_sd"},
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceProfile:
    """What is known about a target: a device, a runtime on it, so many threads, one arithmetic.

    ``rates`` are in GMAC/s by ``MAC_TYPES``; activations and weights count as 4 bytes an element
    whatever the ``arithmetic`` of a float model is. Rates are empty and bandwidths infinite for a device
    whose latency is measured where the engine runs (``measured_here``). ``power_w`` is above idle.
    ``calibrated_macs`` is the range of networks that the rates were fitted on, ``latency_log_sd`` and
    ``power_relative_sd`` are standard deviations of logarithms. ``ram_mb``, ``flash_kb`` and
    ``battery_mwh`` are 0 where unknown. ``paper`` marks the devices of AdaDeep's own evaluation.
    ``sources`` says where every figure comes from.
    """

    name: str
    title: str
    chip: str
    family: str
    paper: bool
    runtime: str
    threads: int
    arithmetic: str
    label: str
    energy_label: str
    note: str
    measured_here: bool
    rates: Mapping[str, float]
    activation_gb_s: float
    weight_gb_s: float
    overhead_ms: float
    int8_dense: float
    int8_depthwise: float
    latency_log_sd: float
    power_w: float
    power_relative_sd: float
    dram_pj_per_byte: float
    calibrated_macs: tuple[float, float]
    core: str
    clock_ghz: float
    ram_mb: float
    flash_kb: float
    battery_mwh: float
    sources: Mapping[str, str]

    def covers(self, macs: float) -> bool:
        """Whether a network of so many MACs lies in the range the rates were fitted on."""
        low, high = self.calibrated_macs
        return self.measured_here or low <= macs <= high


@cache
def device_names() -> tuple[str, ...]:
    """The targets that have a profile; the one that needs no guess first, then by family and name."""
    return tuple(sorted(_files(), key=_place))


@cache
def load_device(name: str) -> DeviceProfile:
    """The profile of a target.

    Raises:
        CompressionError: when no target has that name, or its file is not as it should be.
    """
    known = _files()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise CompressionError(
            f"There is no target device called {name!r}.{meant} "
            f"Known targets: {', '.join(sorted(known))}."
        )
    return read_profile(known[name])


def read_profile(path: Path) -> DeviceProfile:
    """Read one file of the catalogue.

    Raises:
        CompressionError: with file and key, for anything that is unknown, missing or of the wrong kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CompressionError(f"The device profile {path.name} cannot be read.") from error
    return parse_profile(path.stem, text)


def parse_profile(name: str, text: str) -> DeviceProfile:
    """The profile in the text of such a file, for a device called ``name``.

    Raises:
        CompressionError: with name and key, for anything that is unknown, missing or of the wrong kind.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CompressionError(f"{name}.toml is not a TOML file: {error}.") from error
    for fault in _faults(values):
        raise CompressionError(f"{name}.toml: {fault}")
    return _profile(name, values)


def profile_values(device: DeviceProfile) -> dict[str, Any]:
    """What ``parse_profile`` reads, as TOML would hold it; what is not known is left out.

    Figures of ``[fit]`` share its source; one that has another keeps it in ``[sources]``.
    """
    source = device.sources.get("rate_gmacs", "")
    shared = {key for key in _SECTIONS["fit"] if device.sources.get(key) == source}
    fit = {
        "label": device.label,
        "rate_gmacs": dict(device.rates),
        **{key: getattr(device, key) for key in _FIT_FIGURES},
        "calibrated_macs": list(device.calibrated_macs),
        "source": source,
    }
    hardware = {key: getattr(device, key, 0) for key in _SECTIONS["hardware"]}
    latency = {key: getattr(device, key) for key in ("runtime", "threads", "arithmetic")}
    energy = {key: getattr(device, key) for key in _SECTIONS["energy"] if key != "label"}
    return {
        **{key: getattr(device, key) for key in _SECTIONS[""]},
        "hardware": {key: value for key, value in hardware.items() if value},
        "latency": latency,
        "energy": {"label": device.energy_label, **energy},
        "sources": {k: text for k, text in device.sources.items() if k not in shared},
        "fit": fit,
    }


def _faults(values: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the contents of a file, each a sentence."""
    for name in ("hardware", "latency", "energy", "fit", "sources"):
        if not isinstance(values.get(name, {}), dict):
            yield f"{name!r} should be a table, [{name}]."
    by_hand = {k: v for k, v in values.items() if k not in {*_SECTIONS, "sources"}}
    measured_here = values.get("latency", {}).get("measured_here")
    for name, known in _SECTIONS.items():
        if name == "fit" and measured_here and name not in values:
            continue
        yield from _section_faults(name, values.get(name, {}) if name else by_hand, known)
    yield from _unknown_words(values)
    yield from _unlikely_figures(values)
    yield from _without_source(values)


def _section_faults(
    name: str, found: Mapping[str, Any], known: Mapping[str, str]
) -> Iterator[str]:
    """Keys of one section that are unknown, missing or of the wrong kind."""
    where = f" in [{name}]" if name else ""
    for key in found:
        if key not in known:
            yield f"unknown key {key!r}{where}. {_meant(key, known)}"
    for key, kind in known.items():
        if key not in found and key not in _OPTIONAL.get(name, ()):
            yield f"{key!r}{where} is missing; it is {kind}."
        if key in found and not _OF[kind](found[key]):
            yield f"{key!r}{where} is {found[key]!r}, but should be {kind}."


def _unknown_words(values: Mapping[str, Any]) -> Iterator[str]:
    fit = values.get("fit", {})
    for key, word, known in (
        ("family", values.get("family"), FAMILIES),
        ("label in [energy]", values.get("energy", {}).get("label"), LABELS),
        ("label in [fit]", fit.get("label", LABELS[0]), LABELS),
        (
            "arithmetic in [latency]",
            values.get("latency", {}).get("arithmetic"),
            ARITHMETICS,
        ),
    ):
        if word not in known:
            yield f"{key} is {word!r}; known are {', '.join(known)}."
    if fit and set(fit["rate_gmacs"]) != set(MAC_TYPES):
        yield f"rate_gmacs in [fit] needs exactly {', '.join(MAC_TYPES)}."
    if not all(map(_OF[_FIGURE], fit.get("rate_gmacs", {}).values())):
        yield "rate_gmacs in [fit] needs a number above zero for each type."


def _unlikely_figures(values: Mapping[str, Any]) -> Iterator[str]:
    """Figures that are numbers each and cannot be together."""
    low, high = values.get("fit", {}).get("calibrated_macs", (0, math.inf))
    if not 0 <= low < high:
        yield f"calibrated_macs in [fit] is {[low, high]}, but should be a least and a larger most."
    if ("latency_log_sd" in values["latency"]) == ("fit" in values):
        yield "'latency_log_sd' stands in [latency] where there is no [fit], and only there."


def _without_source(values: Mapping[str, Any]) -> Iterator[str]:
    """Sources of nothing that is known, and figures written by hand that do not say where they come from."""
    sources = values.get("sources", {})
    known = {key: kind for section in _SECTIONS.values() for key, kind in section.items()}
    known[CONV_1D] = _TEXT
    for key in sources:
        if key not in known:
            yield f"unknown key {key!r} in [sources]. {_meant(key, known)}"
    if "latency_log_sd" in values["latency"] and not sources.get("latency_log_sd"):
        yield "'latency_log_sd' in [latency] has no source. Add it to [sources]."
    for name in ("hardware", "energy"):
        for key, value in values.get(name, {}).items():
            if not isinstance(value, str) and not sources.get(key):
                yield (
                    f"{key!r} in [{name}] has no source. "
                    f"Add it to [sources], or write {FROM_MEMORY!r} there."
                )


def _meant(key: str, known: Mapping[str, str]) -> str:
    with_unit = [name for name in known if name.startswith(f"{key}_")]
    if with_unit:
        return f"A figure says its unit in its name: write {' or '.join(with_unit)}."
    return f"Known are {', '.join(known)}."


def _profile(name: str, values: Mapping[str, Any]) -> DeviceProfile:
    hardware, latency, energy = values.get("hardware", {}), values["latency"], values["energy"]
    fit = values.get("fit", {})
    low, high = fit.get("calibrated_macs", (0.0, math.inf))
    sources = {**values.get("sources", {})}
    if fit:
        sources = dict.fromkeys(_SECTIONS["fit"], fit["source"]) | sources
    return DeviceProfile(
        name=name,
        title=values["title"],
        chip=values["chip"],
        family=values["family"],
        paper=values.get("paper", False),
        runtime=latency["runtime"],
        threads=latency["threads"],
        arithmetic=latency["arithmetic"],
        label=fit.get("label", "calibrated"),
        energy_label=energy["label"],
        note=values["note"],
        measured_here=latency.get("measured_here", False),
        rates=MappingProxyType(dict(fit.get("rate_gmacs", {}))),
        activation_gb_s=fit.get("activation_gb_s", math.inf),
        weight_gb_s=fit.get("weight_gb_s", math.inf),
        overhead_ms=fit.get("overhead_ms", 0.0),
        int8_dense=fit.get("int8_dense", 1.0),
        int8_depthwise=fit.get("int8_depthwise", 1.0),
        latency_log_sd=(fit or latency)["latency_log_sd"],
        power_w=energy["power_w"],
        power_relative_sd=energy["power_relative_sd"],
        dram_pj_per_byte=energy["dram_pj_per_byte"],
        calibrated_macs=(float(low), float(high)),
        core=hardware.get("core", ""),
        clock_ghz=hardware.get("clock_ghz", 0.0),
        ram_mb=hardware.get("ram_mb", 0.0),
        flash_kb=hardware.get("flash_kb", 0.0),
        battery_mwh=hardware.get("battery_mwh", 0.0),
        sources=MappingProxyType(sources),
    )


def _files() -> dict[str, Path]:
    return {path.stem: path for path in DEVICES.glob("*.toml")}


def _place(name: str) -> tuple[int, str]:
    return FAMILIES.index(load_device(name).family), name
