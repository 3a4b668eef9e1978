"""PyTorch's own exporter on tiny networks: files as people's scripts write them."""

from __future__ import annotations

import io
import warnings

import torch
from torch import nn

torch.set_num_threads(1)


def seeded(make, *args, seed=0, **settings) -> nn.Module:
    """A network in evaluation mode whose weights and statistics are random but always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make(*args, **settings).eval()
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.5, 1.5)
                nn.init.uniform_(layer.weight, 0.7, 1.3)
                nn.init.normal_(layer.bias, 0, 0.2)
    return module


def settled(module: nn.Module, x: torch.Tensor) -> nn.Module:
    """The network with the statistics that those inputs cause in its batch norms, as after training."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean of the batches seen
    module.train()
    with torch.no_grad():
        for batch in x.split(64):
            module(batch)
    return module.eval()


def exported(
    module: nn.Module,
    *shape: int,
    opset: int = 17,
    dynamic: bool = True,
    folded: bool = True,
    outputs: tuple[str, ...] = ("scores",),
) -> bytes:
    """The network as ONNX by the TorchScript-based exporter.

    ``dynamic`` leaves the batch open; ``folded`` lets the exporter fold constants and batch norms.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(1, *shape),),
            buffer,
            dynamo=False,
            opset_version=opset,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_axes={key: {0: "batch"} for key in ("image", *outputs)}
            if dynamic
            else None,
            do_constant_folding=folded,
            training=torch.onnx.TrainingMode.EVAL
            if folded
            else torch.onnx.TrainingMode.PRESERVE,
        )
    return buffer.getvalue()
