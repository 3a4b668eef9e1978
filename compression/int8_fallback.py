"""8-bit arithmetic where it is harmless: layers that it would ruin go on computing in float."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from compression.answer_forms import form_of
from compression.batch_norm_folding import fold_batch_norms
from compression.evaluation import onnx_log_probabilities
from compression.onnx_export import export_onnx
from compression.sensitivity import logits
from compression.types import Precision
from compression.weight_storage import rounded

if TYPE_CHECKING:
    import numpy as np

    from compression.graph import Network

ALLOWED_KL = 0.01
"""Nats of KL divergence that 8-bit activations may add to what 8-bit weights cost. On a ResNet-20 and a
1-D network 0.02 went with about 4 % changed answers and half a point of accuracy, 0.001 with 1 % and
none: 0.01 is below what a search split of a thousand examples can tell from nothing."""

MOST_IN_FLOAT = 0.5
"""Share of the layers that may stay in float; beyond it little speed is left to gain."""

_SILENT = 0.01
"""A channel that varies less than this share of the median one counts as if it varied so much."""

_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardtanh)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Int8Export:
    """A file with 8-bit arithmetic and the layers in it that stay in float, worst first.

    ``kl`` and ``kl_weights`` are nats to the float network on held-out samples: of this file, and of
    one that has 8-bit weights only. ``holds`` says whether the difference is within ``ALLOWED_KL``.
    """

    data: bytes
    in_float: tuple[str, ...]
    kl: float
    kl_weights: float

    @property
    def holds(self) -> bool:
        """Whether the arithmetic adds no more than what is allowed."""
        return self.kl <= self.kl_weights + ALLOWED_KL

    @property
    def sentence(self) -> str:
        """What was decided, for the log; empty where every layer computes in 8 bits and may."""
        if self.holds and not self.in_float:
            return ""
        layers = ", ".join(f"“{name}”" for name in self.in_float) or "none"
        outcome = (
            f"the answers then differ by a KL divergence of {self.kl:.2g} "
            f"({self.kl_weights:.2g} with 8-bit weights alone)"
        )
        if self.holds:
            return f"8-bit arithmetic would have changed the answers too much in some layers, which stay in float: {layers}; {outcome}."
        return f"8-bit arithmetic changes the answers, whichever layers stay in float (tried last: {layers}); {outcome}."


def export_int8(network: Network, calibration: np.ndarray, x: np.ndarray) -> Int8Export:
    """8-bit arithmetic in as many layers as the answers allow.

    All layers are tried first. If that adds too much divergence, the layers are ranked by the error that
    8 bits make in each alone (one pass), and the worst 1, 2, 4, ... stay in float until it holds; then as
    few as possible. If it never holds, the best attempt is returned.

    Args:
        network: at any precision.
        calibration: float32 ``[n, *input_shape]``: sets ranges and ranks the layers.
        x: held-out samples, float32 ``[m, *input_shape]``.
    """
    search = _Search(network, calibration, x)
    tried = search.attempt(0)
    if tried.holds:
        return tried
    fails, count, most = 0, 1, int(MOST_IN_FLOAT * len(search.ranking))
    attempts = [tried]
    while count <= most and not (tried := search.attempt(count)).holds:
        attempts.append(tried)
        fails, count = count, 2 * count
    if not tried.holds:
        return min(attempts, key=lambda attempt: attempt.kl)
    while count - fails > 1:
        middle = (count + fails) // 2
        fewer = search.attempt(middle)
        tried, count, fails = (fewer, middle, fails) if fewer.holds else (tried, count, middle)
    return tried


def offered_file(network: Network, calibration: np.ndarray, x: np.ndarray) -> bytes:
    """The file as it would be offered: 8-bit arithmetic only in layers that bear it, see ``export_int8``."""
    if network.precision is not Precision.INT8:
        return export_onnx(network)
    return export_int8(network, calibration, x).data


def layer_errors(network: Network, x: np.ndarray) -> dict[str, float]:
    """What 8 bits do to each convolution and dense layer alone: noise over signal of its outputs.

    The mean over the output channels, so that a loud one cannot hide what it does to the others.
    Input, weights and output (behind a ReLU that follows) are rounded as the exporter would; all
    other layers stay in float, so one pass over ``x`` (``[n, *input_shape]``) is enough.
    """
    module = network.copied_module().eval()
    fold_batch_norms(module)
    recorder = _Recorder(module)
    with torch.inference_mode():
        recorder.run(torch.from_numpy(x))
    return recorder.errors


class _Search:
    """One network's attempts; what they share is computed once."""

    def __init__(self, network: Network, calibration: np.ndarray, x: np.ndarray) -> None:
        self._network = replace(network, precision=Precision.INT8)
        self._calibration = calibration
        self._x = x

    def attempt(self, count: int) -> Int8Export:
        """The file in which that many layers stay in float."""
        in_float = self.ranking[:count] if count else ()
        data = export_onnx(self._network, self._calibration, in_float=in_float)
        return Int8Export(
            data=data, in_float=in_float, kl=self._kl(data), kl_weights=self._kl_weights
        )

    @cached_property
    def ranking(self) -> tuple[str, ...]:
        """The layers, the one with the largest error first."""
        errors = layer_errors(self._network, self._calibration)
        return tuple(sorted(errors, key=lambda name: -errors[name]))

    @cached_property
    def _answers(self) -> np.ndarray:
        return logits(self._network, self._x)

    @cached_property
    def _kl_weights(self) -> float:
        return self._kl(export_onnx(replace(self._network, precision=Precision.INT8_WEIGHTS)))

    def _kl(self, data: bytes) -> float:
        form = form_of(self._network.profile)
        return form.divergence(self._answers, onnx_log_probabilities(data, self._x))


class _Recorder(fx.Interpreter):
    """Runs a network and, beside each layer with weights, the same layer in 8 bits."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=True)
        self.errors: dict[str, float] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        layer = self.module.get_submodule(str(n.target)) if n.op == "call_module" else None
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            self.errors[n.name] = self._error(n, layer, result)
        return result

    def _error(
        self, node: fx.Node, layer: nn.Conv1d | nn.Conv2d | nn.Linear, exact: Tensor
    ) -> float:
        given = _through_8_bits(self.env[node.all_input_nodes[0]])
        weight = layer.weight.detach()
        coarse = torch.from_numpy(rounded(weight.numpy(), Precision.INT8))
        found = torch.func.functional_call(layer, {"weight": coarse}, (given,))
        users = list(node.users)
        after = self._activation(users[0]) if len(users) == 1 else None
        if after is not None:
            exact, found = after(exact), after(found)
        if all(user.op != "output" for user in users):
            found = _through_8_bits(found)
        channel = exact.ndim - 1 if isinstance(layer, nn.Linear) else 1
        rest = tuple(axis for axis in range(exact.ndim) if axis != channel)
        noise, signal = (found - exact).square().mean(rest), exact.var(rest, correction=0)
        least = _SILENT * float(signal.median()) + 1e-12
        return float((noise / signal.clamp_min(least)).mean())

    def _activation(self, node: fx.Node) -> nn.Module | None:
        """The module of a node where the runtime computes it together with the layer before."""
        layer = (
            self.module.get_submodule(str(node.target)) if node.op == "call_module" else None
        )
        return layer if isinstance(layer, _ACTIVATIONS) else None


def _through_8_bits(values: Tensor) -> Tensor:
    """Values as the quantiser stores activations: 256 steps from the smallest to the largest, 0 among them."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    step = (high - low) / 255 or 1.0
    zero = round(-low / step)
    return (torch.clamp(torch.round(values / step) + zero, 0, 255) - zero) * step
