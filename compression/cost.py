"""Latency and energy of a network on a device that is not here: an additive nine-number model.

The time of a network is the sum over its operations of
``macs * f(shape) / rate[type] + bytes moved / bandwidth + overhead``. The shape factors ``f`` are
shared by all devices; the rates come from one TOML file a device. Everything is linear in
``FEATURES``, so the features of rows may be added, interpolated and cached before pricing.
NumPy only: the web process imports this module.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compression.device_profiles import MAC_TYPES, DeviceProfile, device_names, load_device
from compression.errors import CompressionError
from compression.types import OpSpec, Precision

__all__ = [
    "FEATURES",
    "MAC_TYPES",
    "SURE",
    "Array",
    "Band",
    "DeviceProfile",
    "band",
    "device_names",
    "energy_mj",
    "latency_coefficients",
    "latency_ms",
    "load_device",
    "mac_type",
    "op_features",
    "precision_of",
]

Array = NDArray[np.float64]

FEATURES = (*MAC_TYPES, "activation_elements", "weight_elements", "operations")
"""The last axis of every feature array: MACs times the shape factor by type, then three counts."""

SURE = 1.645
"""Standard deviations about the mean between which 9 in 10 values of a normal distribution lie."""

_WINOGRAD_CHANNELS = (
    8  # narrower 3x3 convolutions do not take the fast path of the fitted runtime
)
_OUTSIDE = (
    1.5  # how much wider a band is for networks unlike those that were measured: a judgement
)
# Inputs of an output, outputs and positions at which a layer runs at half its type's rate. Round numbers
# on purpose: fitted freely to the 24 networks of the public tables they predicted a hidden network
# worse (median 11 to 15 % instead of 9.5).
_HALF_SPEED = {
    "conv3x3_s1": (3.0, 64.0, 3.0),
    "conv_kxk": (32.0, 8.0, 3.0),
    "conv1x1": (3.0, 16.0, 0.6),
    "group_conv": (6.0, 16.0, 3.0),
    "fc": (0.0, 5.0, 0.0),
}


class Band(NamedTuple):
    """Factors on a predicted value between which 9 in 10 true values lie, and how it is known."""

    low: float
    high: float
    label: str


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


def precision_of(device: DeviceProfile) -> Precision:
    """What a network that is timed on the device computes in: 8 bits where these are its arithmetic, else float."""
    return Precision.INT8 if device.arithmetic == "int8" else Precision.FP32


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


def band(
    device: DeviceProfile,
    quantity: str = "latency",
    macs: float | None = None,
    *,
    has_untimed: bool = False,
) -> Band:
    """How far a prediction of ``latency`` or ``energy`` may be off on this device: 9 in 10 lie inside.

    The width is what hidden networks and devices showed (``benchmarks/devices/holdout.py``). With
    ``macs`` of the network outside the calibrated range, or layers of kinds that were not timed for the
    device, it is wider; the label still says how the device is known. The ratio of two networks on one device has the latency band alone for both
    quantities: the power guess cancels.
    """
    spread = device.latency_log_sd
    if has_untimed or (macs is not None and not device.covers(macs)):
        spread *= _OUTSIDE
    if quantity == "latency":
        return Band(math.exp(-SURE * spread), math.exp(SURE * spread), device.label)
    spread = math.hypot(spread, device.power_relative_sd)
    return Band(math.exp(-SURE * spread), math.exp(SURE * spread), device.energy_label)


def _shape_factor(op: OpSpec, kind: str) -> float:
    """How much slower than its type's rate a small shape runs."""
    positions = 1 if kind == "fc" else math.prod(op.out_shape[1:])
    if kind == "depthwise":
        strided = any(step > 1 for step in op.stride)
        large = max(op.kernel) > 3
        few = (1 + 32 / positions) * (1 + 0.8 / op.in_shape[0])
        return few * (1.1 if strided else 1.0) * (1.4 if large else 1.0)
    if kind == "fc":
        inputs, outputs = op.in_shape[-1], op.out_shape[-1]
    else:
        inputs = op.in_shape[0] // op.groups * math.prod(op.kernel)
        outputs = op.out_shape[0] // op.groups
    few_inputs, few_outputs, few_positions = _HALF_SPEED[kind]
    return (
        (1 + few_inputs / max(1, inputs))
        * (1 + few_outputs / max(1, outputs))
        * (1 + few_positions / positions)
    )
