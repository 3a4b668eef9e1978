"""What a change costs in accuracy, before any fine-tuning: the divergence from the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from compression.outputs import form_of, log_softmax
from compression.surgery import layer_of

if TYPE_CHECKING:
    from compression.graph import Network


_LARGEST_BATCH, _BATCH_VALUES = 256, 2**24
"""Samples at a time, and values of the largest activation of them together (64 MB)."""


def logits(network: Network, x: np.ndarray, batch: int = 0) -> np.ndarray:
    """What the network says before any softmax, float32 ``[samples * positions, channels]``.

    A network that ends in a softmax gives the logarithm of it, which is a logit as good as any. One that
    gives values gives these; what the rows are says ``outputs.OutputForm``.

    Args:
        network: Any network.
        x: Samples, float32, ``[samples, *input_shape]``.
        batch: Samples at a time; 0 for as many as memory should hold.
    """
    module, is_softmax = network.module, ends_in_softmax(network)
    form = form_of(network.profile)
    batch = batch or min(
        _LARGEST_BATCH, max(1, _BATCH_VALUES // network.profile.largest_output)
    )
    parts = []
    with torch.inference_mode():
        for start in range(0, len(x), batch):
            y = module(torch.from_numpy(x[start : start + batch]))
            y = y.clamp_min(1e-12).log() if is_softmax else y
            parts.append(form.rows(y.numpy()))
    return np.concatenate(parts)


def kl_divergence(original_logits: np.ndarray, changed_logits: np.ndarray) -> float:
    """Mean over the samples of KL(original || changed), in nats."""
    p, q = log_softmax(original_logits), log_softmax(changed_logits)
    return float((np.exp(p) * (p - q)).sum(1).mean())


def kl_to_original(network: Network, original_logits: np.ndarray, x: np.ndarray) -> float:
    """How far the network's answers on ``x`` are from the original's, in nats."""
    return form_of(network.profile).divergence(original_logits, logits(network, x))


def ends_in_softmax(network: Network) -> bool:
    """Whether the output is a softmax (not its logarithm)."""
    last = [node for node in network.module.graph.nodes if node.op != "output"][-1]
    return isinstance(layer_of(network.module, last), nn.Softmax)
