"""What a change costs in accuracy, before any fine-tuning: the divergence from the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, fx, nn

from compression.answer_forms import form_of
from compression.graph import joined
from compression.layer_table import output_nodes
from compression.outputs import log_softmax
from compression.prefix_cache import MOST_BYTES, PrefixCache
from compression.surgery import layer_of

if TYPE_CHECKING:
    from compression.graph import Network


_LARGEST_BATCH, _BATCH_VALUES = 256, 2**24
"""Samples at a time, and values of the largest activation of them together (64 MB)."""


def logits(network: Network, x: np.ndarray, batch: int = 0) -> np.ndarray:
    """What the network says before any softmax, float32 ``[samples * positions, channels]``.

    A network that ends in a softmax gives the logarithm of it, which is a logit as good as any. One that
    gives values gives these; what the rows are says the network's form (``answer_forms.form_of``).

    Args:
        network: Any network.
        x: Samples, float32, ``[samples, *input_shape]``.
        batch: Samples at a time; 0 for as many as memory should hold.
    """
    size = batch or _batch_for(network)
    with torch.inference_mode():
        return _rows(network, [network.module(part) for part in _batches(x, size)])


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
            return _rows(network, outputs)


def kl_divergence(original_logits: np.ndarray, changed_logits: np.ndarray) -> float:
    """Mean over the samples of KL(original || changed), in nats."""
    p, q = log_softmax(original_logits), log_softmax(changed_logits)
    return float((np.exp(p) * (p - q)).sum(1).mean())


def kl_to_original(network: Network, original_logits: np.ndarray, x: np.ndarray) -> float:
    """How far the network's answers on ``x`` are from the original's, in nats."""
    return form_of(network.profile).divergence(original_logits, logits(network, x))


class Scores:
    """Turns what a network puts out into logits: the logarithm of class scores that a softmax made."""

    def __init__(self, network: Network) -> None:
        self._form = form_of(network.profile)
        layers = (layer_of(network.module, node) for node in output_nodes(network.module))
        self._is_softmax = [
            isinstance(layer, nn.Softmax) and part.n_classes > 0
            for layer, part in zip(layers, self._form.parts, strict=True)
        ]

    def of(self, outputs: Tensor) -> Tensor:
        """The logits of outputs that ``graph.joined`` gives, shaped as they are."""
        if not any(self._is_softmax):
            return outputs
        pairs = zip(self._form.apart(outputs), self._is_softmax, strict=True)
        found = tuple(y.clamp_min(1e-12).log() if made else y for y, made in pairs)
        return joined(found if len(found) > 1 else found[0])


def _batch_for(network: Network) -> int:
    return min(_LARGEST_BATCH, max(1, _BATCH_VALUES // network.profile.largest_output))


def _batches(x: np.ndarray, size: int) -> list[Tensor]:
    return [torch.from_numpy(x[start : start + size]) for start in range(0, len(x), size)]


def _rows(network: Network, outputs: list[Tensor | tuple[Tensor, ...]]) -> np.ndarray:
    form, scores = form_of(network.profile), Scores(network)
    return np.concatenate([form.rows(scores.of(joined(y)).numpy()) for y in outputs])
