"""Torch-Pruning (DepGraph): whole channels by the size of their group, then fine-tuned, then 8 bits or not."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch_pruning

from benchmarks.peers.arena import Offer
from benchmarks.peers.onnxruntime_int8 import static

if TYPE_CHECKING:
    from benchmarks.peers.arena import Arena
    from compression.graph import Network

TOOL = "Torch-Pruning"
RATIOS = (0.25, 0.5, 0.75, 0.87)


def offers(arena: Arena) -> dict[str, Offer]:
    """Each ratio, global and uniform, and each of them in 8 bits too."""
    found = {}
    for how in ("global", "uniform"):
        for ratio in RATIOS:
            name = f"tp-{how}-{round(100 * ratio)}"
            text = f"{how}, ratio {ratio}, {arena.budget}"
            make = partial(arena.once, name, partial(_pruned, arena, how, ratio))
            found[name] = Offer(text, make)
            found[f"{name}-int8"] = Offer(
                f"{text}; ONNX Runtime static int8",
                lambda make=make: static(arena, make()),  # type: ignore[misc]
            )
    return found


def _pruned(arena: Arena, how: str, ratio: float) -> bytes:
    network = arena.job.network
    module = network.copied_module().eval()
    example = torch.from_numpy(arena.calibration[:1])
    pruner = torch_pruning.pruner.BasePruner(
        module,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        global_pruning=how == "global",
        pruning_ratio=ratio,
        round_to=2 if network.profile.macs < 1_000_000 else 8,
        ignored_layers=[module.get_submodule(name) for name in _ignored(network)],
    )
    pruner.step()
    return arena.recovered(_as_onnx(module, example, network.profile.input_name))


def _ignored(network: Network) -> set[str]:
    """The answers, and what the tool fails on: residual sums over shortcuts that pad channels."""
    padded = [g for g in network.profile.groups if not g.prunable and g.writers]
    return {name for group in padded for name in group.writers}


def _as_onnx(module: torch.nn.Module, example: torch.Tensor, name: str) -> bytes:
    buffer = io.BytesIO()
    torch.onnx.export(
        module,
        (example,),
        buffer,  # type: ignore[arg-type]  # the classic exporter writes to any stream
        dynamo=False,
        opset_version=17,
        input_names=[name],
        output_names=["logits"],
        dynamic_axes={name: {0: "batch"}, "logits": {0: "batch"}},
    )
    return buffer.getvalue()
