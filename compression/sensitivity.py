"""What a change costs in accuracy, before any fine-tuning: the divergence from the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, fx, nn

from compression.outputs import form_of, log_softmax
from compression.prefix_cache import MOST_BYTES, PrefixCache
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
    size = batch or _batch_for(network)
    with torch.inference_mode():
        return _joined(network, [network.module(part) for part in _batches(x, size)])


class SharedLogits:
    """``logits`` of any number of changed networks for the same samples.

    What the original computes before the first changed layer is kept from one network to the next; so
    let them come in the order of their changed layers.

    Args:
        original: The network that all changed ones come from.
        x: Samples, float32, ``[samples, *input_shape]``.
        batch: Samples at a time; 0 for as many as memory should hold.
    """

    def __init__(self, original: Network, x: np.ndarray, batch: int = 0) -> None:
        parts = _batches(x, batch or _batch_for(original))
        most = MOST_BYTES // max(1, len(parts))
        self._prefixes = [PrefixCache(original.module, part, most_bytes=most) for part in parts]

    def of(self, network: Network) -> np.ndarray:
        """What ``logits`` gives for this network, float32 ``[samples, classes]``."""
        with torch.inference_mode():
            outputs = [
                fx.Interpreter(network.module).run(
                    prefix.x, initial_env=prefix.values_for(network.module)
                )
                for prefix in self._prefixes
            ]
            return _joined(network, outputs)


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


def _batch_for(network: Network) -> int:
    return min(_LARGEST_BATCH, max(1, _BATCH_VALUES // network.profile.largest_output))


def _batches(x: np.ndarray, size: int) -> list[Tensor]:
    return [torch.from_numpy(x[start : start + size]) for start in range(0, len(x), size)]


def _joined(network: Network, outputs: list[Tensor]) -> np.ndarray:
    form, is_softmax = form_of(network.profile), ends_in_softmax(network)
    found = [y.clamp_min(1e-12).log() if is_softmax else y for y in outputs]
    return np.concatenate([form.rows(y.numpy()) for y in found])
