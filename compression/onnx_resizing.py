"""ONNX Resize and Upsample, as far as torch interpolates in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compression.onnx_conversion import Conversion, attribute
from compression.shape_modules import Resized

if TYPE_CHECKING:
    import onnx
    from torch import fx

_MODES = {
    ("nearest", 1): "nearest",
    ("nearest", 2): "nearest",
    ("linear", 1): "linear",
    ("linear", 2): "bilinear",
    ("cubic", 2): "bicubic",
}


def convert_resize(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Resize of the positions of ``[batch, channels, ...]``."""
    old, new = network.in_shape(node), network.out_shape(node)
    mode = attribute(node, "mode", "nearest")
    if old[0] != new[0] or (mode, len(new) - 1) not in _MODES:
        network.refuse(node, f"it resizes in mode '{mode}' from {list(old)} to {list(new)}")
    settings = _settings(network, node, mode)
    aligned = _aligned(network, node, settings, old[1:], new[1:])
    plain = settings["coordinate_transformation_mode"] == "asymmetric" and mode == "linear"
    layer = Resized(
        new[1:],
        "asymmetric" if plain else _MODES[mode, len(new) - 1],
        align_corners=aligned,
        scales=_scales(network, node, old[1:], new[1:]),
        settings=settings,
    )
    return network.add_layer(node, layer, network.source(node), new)


def _settings(network: Conversion, node: onnx.NodeProto, mode: str) -> dict[str, str | float]:
    """The attributes that decide how values are found, defaults included."""
    coordinates = "half_pixel" if network.opset >= 11 else "asymmetric"
    found: dict[str, str | float] = {
        "mode": mode,
        "coordinate_transformation_mode": attribute(
            node, "coordinate_transformation_mode", coordinates
        ),
    }
    if mode == "nearest":
        rounding = "round_prefer_floor" if network.opset >= 11 else "floor"
        found["nearest_mode"] = attribute(node, "nearest_mode", rounding)
    if mode == "cubic":
        found["cubic_coeff_a"] = attribute(node, "cubic_coeff_a", -0.75)
    if attribute(node, "antialias", 0) or attribute(node, "exclude_outside", 0):
        network.refuse(node, "it smooths or leaves out what lies outside")
    return found


def _aligned(
    network: Conversion,
    node: onnx.NodeProto,
    settings: dict[str, str | float],
    old: tuple[int, ...],
    new: tuple[int, ...],
) -> bool | None:
    """What torch calls ``align_corners``; ``None`` where that says nothing."""
    coordinates = settings["coordinate_transformation_mode"]
    if settings["mode"] == "nearest":
        whole = all(n % o == 0 for o, n in zip(old, new, strict=True))
        floored = coordinates == "asymmetric" and settings["nearest_mode"] == "floor"
        centred = whole and coordinates in ("half_pixel", "pytorch_half_pixel")
        if not floored and not (centred and "round" in str(settings["nearest_mode"])):
            network.refuse(node, f"torch rounds positions otherwise than '{coordinates}'")
        return None
    if settings["mode"] == "linear" and coordinates == "asymmetric":
        return None
    centred = coordinates == "half_pixel" or (
        coordinates == "pytorch_half_pixel" and min(new) > 1
    )
    if not centred and coordinates != "align_corners":
        network.refuse(node, f"torch does not know positions by '{coordinates}'")
    if settings.get("cubic_coeff_a", -0.75) != -0.75:
        network.refuse(node, "torch knows one cubic coefficient only, -0.75")
    return not centred


def _scales(
    network: Conversion, node: onnx.NodeProto, old: tuple[int, ...], new: tuple[int, ...]
) -> list[float]:
    """Factors of the positions that give the new size when rounded down, the file's own if any."""
    index = 1 if network.opset < 11 or node.op_type == "Upsample" else 2
    given = attribute(node, "scales", None)
    if given is None:
        value = network.constant(node, index, "scales")
        given = [] if value is None else value.tolist()
    if len(given) != len(old) + 2:
        given = [1.0, 1.0, *(n / o for o, n in zip(old, new, strict=True))]
    rows = zip(given[2:], old, new, strict=True)
    return [_rounding_up_to(float(scale), o, n) for scale, o, n in rows]


def _rounding_up_to(scale: float, old: int, new: int) -> float:
    """The factor, nudged until runtimes that round down in float or double find the new size."""
    found = np.float32(scale)
    while int(np.float32(old) * found) < new or int(old * float(found)) < new:
        found = np.nextafter(found, np.float32(np.inf))
    return float(found)
