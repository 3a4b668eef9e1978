"""OpenVINO's NNCF: quantisation after training, on the ONNX file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nncf
import onnx

from benchmarks.peers.arena import Offer

if TYPE_CHECKING:
    from benchmarks.peers.arena import Arena

TOOL = "NNCF"


def offers(arena: Arena) -> dict[str, Offer]:
    """By name."""
    return {
        "nncf": Offer("quantize(), defaults", lambda: _quantised(arena, "PERFORMANCE")),
        "nncf-mixed": Offer("quantize(), preset mixed", lambda: _quantised(arena, "MIXED")),
    }


def _quantised(arena: Arena, preset: str) -> bytes:
    name = arena.job.network.profile.input_name
    samples = [{name: x[None]} for x in arena.calibration[:300]]
    model = onnx.load_from_string(arena.model)
    found = nncf.quantize(model, nncf.Dataset(samples), preset=nncf.QuantizationPreset[preset])
    data: bytes = found.SerializeToString()
    return data
