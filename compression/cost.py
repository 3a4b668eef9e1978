"""Latency and energy of a network on a device that is not here: an additive nine-number model.

The time of a network is the sum over its operations of
``macs * f(shape) / rate[type] + bytes moved / bandwidth + overhead``. The shape factors ``f`` are
shared by all devices; the rates come from one TOML file a device. Everything is linear in
``FEATURES``, so the features of rows may be added, interpolated and cached before pricing.
NumPy only: the web process imports this module.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compression.errors import CompressionError
from compression.types import OpSpec, Precision

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = NDArray[np.float64]

MAC_TYPES = ("conv3x3_s1", "conv_kxk", "conv1x1", "depthwise", "group_conv", "fc")
FEATURES = (*MAC_TYPES, "activation_elements", "weight_elements", "operations")
"""The last axis of every feature array: MACs times the shape factor by type, then three counts."""

DEVICES = Path(__file__).parent / "devices"

_WINOGRAD_CHANNELS = (
    8  # narrower 3x3 convolutions do not take the fast path of the fitted runtime
)
_WIDENED = {"same chip": "similar chip", "calibrated": "similar chip", "similar chip": "rough"}
_LATENCY_BANDS = {
    "measured": (0.9, 1.1),
    "calibrated": (0.7, 1.3),
    "same chip": (0.7, 1.3),
    "similar chip": (1 / 1.7, 1.7),
    "rough": (0.5, 2.0),
}
_ENERGY_BANDS = {
    "measured": (0.5, 1.5),
    "calibrated": (0.5, 1.5),
    "same chip": (0.5, 1.5),
    "similar chip": (0.5, 2.0),
    "rough": (1 / 2.5, 2.5),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceProfile:
    """What is known about a target device.

    ``rates`` are in GMAC/s by ``MAC_TYPES`` and bandwidths in GB/s; both are empty or zero for a
    device whose latency is measured where the engine runs (``measured_here``). ``power_w`` is above
    idle. ``calibrated_macs`` is the range of networks that the rates were fitted on. ``sources``
    says where every figure comes from.
    """

    name: str
    title: str
    chip: str
    family: str
    runtime: str
    threads: int
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
    power_w: float
    dram_pj_per_byte: float
    calibrated_macs: tuple[float, float]
    sources: Mapping[str, str]

    def covers(self, macs: float) -> bool:
        """Whether a network of so many MACs lies in the range the rates were fitted on."""
        low, high = self.calibrated_macs
        return self.measured_here or low <= macs <= high


class Band(NamedTuple):
    """Factors on a predicted value between which 9 in 10 true values lie, and how it is known."""

    low: float
    high: float
    label: str


def device_names() -> tuple[str, ...]:
    """The targets that have a profile; the one that needs no guess first."""
    names = sorted(path.stem for path in DEVICES.glob("*.toml"))
    return tuple(sorted(names, key=lambda name: (not load_device(name).measured_here, name)))


@cache
def load_device(name: str) -> DeviceProfile:
    """The profile of a target.

    Raises:
        CompressionError: when no target has that name.
    """
    known = {path.stem: path for path in DEVICES.glob("*.toml")}
    if name not in known:
        raise CompressionError(
            f"There is no target device called {name!r}. Known targets: {', '.join(sorted(known))}."
        )
    return _profile(name, tomllib.loads(known[name].read_text(encoding="utf-8")))


def op_features(op: OpSpec) -> Array:
    """The nine features of one operation, see ``FEATURES``."""
    features = np.zeros(len(FEATURES))
    kind = mac_type(op)
    if kind:
        features[MAC_TYPES.index(kind)] = op.macs * _shape_factor(op, kind)
    features[6] = math.prod(op.in_shape) + math.prod(op.out_shape)
    features[7] = op.params
    features[8] = 1
    return features


def mac_type(op: OpSpec) -> str:
    """Which of ``MAC_TYPES`` the operation computes; empty for one that multiplies nothing."""
    if op.op in ("dense", "matmul"):
        return "fc"
    if op.op == "transposed_conv":
        return "conv_kxk"
    if op.op != "conv":
        return ""
    if op.groups > 1:
        return "depthwise" if op.groups == op.in_shape[0] else "group_conv"
    if all(size == 1 for size in op.kernel):
        return "conv1x1"
    wide = min(op.in_shape[0], op.out_shape[0]) >= _WINOGRAD_CHANNELS
    unit_stride = all(step == 1 for step in op.stride)
    return "conv3x3_s1" if op.kernel == (3, 3) and unit_stride and wide else "conv_kxk"


@cache
def latency_coefficients(device: DeviceProfile, precision: Precision) -> Array:
    """Milliseconds per unit of each feature.

    Weights stored small but computed in float cost what fp32 costs: they are unpacked once, when the
    file is loaded. Eight-bit dense layers
    stream a quarter of the weight bytes, and streaming is what bounds them.

    Raises:
        CompressionError: for a device whose latency is measured, not modelled.
    """
    if device.measured_here:
        raise CompressionError(
            f"The latency of {device.title} is measured layer by layer; there is no model of it."
        )
    int8 = precision is Precision.INT8
    coefficients = np.array(
        [1e-6 / device.rates[kind] for kind in MAC_TYPES]
        + [4e-6 / device.activation_gb_s, 4e-6 / device.weight_gb_s, device.overhead_ms]
    )
    if int8:
        coefficients *= device.int8_dense
        coefficients[MAC_TYPES.index("depthwise")] *= device.int8_depthwise / device.int8_dense
        coefficients[[5, 7]] *= 0.25 / device.int8_dense
        coefficients[8] = device.overhead_ms
    coefficients.setflags(write=False)
    return coefficients


def latency_ms(features: Array, device: DeviceProfile, precision: Precision) -> Array:
    """Milliseconds by features of shape ``[..., 9]``; the last axis is summed away."""
    return np.asarray(features @ latency_coefficients(device, precision))


def energy_mj(
    milliseconds: Array, features: Array, device: DeviceProfile, precision: Precision
) -> Array:
    """Millijoules above idle: power times time, and the weights fetched from memory once.

    Only 8-bit arithmetic fetches fewer bytes; weights that are merely stored small are floats by then.
    Activations are left out of the memory term: most fit the caches of these devices, and on a
    processor the term is one or two per cent.
    """
    bytes_each = 1 if precision is Precision.INT8 else 4
    fetched_mj = features[..., 7] * (bytes_each * device.dram_pj_per_byte * 1e-9)
    return np.asarray(milliseconds * device.power_w + fetched_mj)


def band(device: DeviceProfile, quantity: str = "latency", macs: float | None = None) -> Band:
    """How far a prediction of ``latency`` or ``energy`` may be off on this device.

    With ``macs`` of the network outside the calibrated range the next wider band is taken; the
    label still says how the device is known. The ratio of two networks on one device has the
    latency band alone for both quantities: the power guess cancels.
    """
    label = device.label if quantity == "latency" else device.energy_label
    bands = _LATENCY_BANDS if quantity == "latency" else _ENERGY_BANDS
    outside = macs is not None and not device.covers(macs)
    low, high = bands[_WIDENED.get(label, label) if outside else label]
    return Band(low, high, label)


def _shape_factor(op: OpSpec, kind: str) -> float:
    """How much slower than its type's rate a small shape runs (fitted over 93 configurations)."""
    positions = 1 if kind == "fc" else math.prod(op.out_shape[1:])
    if kind == "depthwise":
        strided = any(step > 1 for step in op.stride)
        return (1 + 4.302 * 64 / positions) * (1.06753 if strided else 1.0) * (1 + 0.01124 * 16)
    if kind == "fc":
        inputs, outputs = op.in_shape[-1], op.out_shape[-1]
    else:
        inputs = op.in_shape[0] // op.groups * math.prod(op.kernel)
        outputs = op.out_shape[0] // op.groups
    return (
        (1 + 0.003466 * 16 / max(1, inputs))
        * (1 + 1.69 * 16 / max(1, outputs))
        * (1 + 0.007788 * 64 / positions)
    )


def _profile(name: str, values: Mapping[str, Any]) -> DeviceProfile:
    latency, energy = values["latency"], values["energy"]
    return DeviceProfile(
        name=name,
        title=values["title"],
        chip=values["chip"],
        family=values["family"],
        runtime=latency["runtime"],
        threads=latency["threads"],
        label=latency["label"],
        energy_label=energy["label"],
        note=values["note"],
        measured_here=latency.get("measured_here", False),
        rates=MappingProxyType(dict(latency.get("rate_gmacs", {}))),
        activation_gb_s=latency.get("activation_gb_s", 0.0),
        weight_gb_s=latency.get("weight_gb_s", 0.0),
        overhead_ms=latency.get("overhead_ms", 0.0),
        int8_dense=latency.get("int8_dense", 1.0),
        int8_depthwise=latency.get("int8_depthwise", 1.0),
        power_w=energy["power_w"],
        dram_pj_per_byte=energy["dram_pj_per_byte"],
        calibrated_macs=tuple(latency.get("calibrated_macs", (0.0, math.inf))),
        sources=MappingProxyType(dict(values["sources"])),
    )
