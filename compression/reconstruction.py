"""Fits a changed network to the original, layer by layer, in closed form: no gradient, no labels.

In order of the graph, each layer that a technique touched gets the weights that reproduce the
original's outputs best from what the changed network now feeds it (so errors of earlier layers are
repaired by later ones); layers in between are brought back to the original mean and spread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from compression.least_squares import (
    fitted_weights,
    layer_rows,
    output_positions,
    output_rows,
)
from compression.sparsity import mask_of, set_weight
from compression.surgery import FITS, INHERITED, Fits, Inherited, layer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from compression.graph import LayerOutput, Network

_LEAST_ROWS = 8192
_MOST_ROWS = 16_384
_MOST_VALUES = 8_000_000
"""Rows times columns of one regression: 64 MB in float64."""

_Linear = nn.Linear | nn.Conv1d | nn.Conv2d


@dataclass(frozen=True, slots=True)
class Target:
    """What one original layer puts out: some rows of it, and mean and spread of each channel."""

    positions: Tensor
    rows: Tensor
    mean: Tensor
    std: Tensor
    inputs: int


@dataclass(frozen=True, slots=True)
class Reference:
    """The original's answers to the calibration samples, kept for any number of changed networks."""

    x: Tensor
    targets: Mapping[str, Target]


def reference_of(original: Network, x: np.ndarray) -> Reference:
    """Runs the original once and keeps what ``fitted`` needs.

    Args:
        original: The network that all changed ones come from.
        x: Calibration samples, float32, ``[samples, *input_shape]``; 256 to 512 are enough.
    """
    samples = torch.from_numpy(x)
    recorder = _Recorder(original.module, len(samples))
    with torch.inference_mode():
        recorder.run(samples)
    return Reference(samples, recorder.targets)


def reconstruct(network: Network, original: Network, x: np.ndarray) -> Network:
    """The network with weights fitted to the original's outputs on ``x``; both stay as they were."""
    return fitted(network, reference_of(original, x))


def fitted(network: Network, reference: Reference) -> Network:
    """``reconstruct`` with the original's answers at hand."""
    module = network.copied_module()
    with torch.inference_mode():
        _Fitter(module, network.outputs_of, reference).run(reference.x)
    return replace(network, module=module)


class _Recorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, samples: int) -> None:
        super().__init__(module, garbage_collect_values=True)
        self._samples = samples
        self.targets: dict[str, Target] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        layer = layer_of(self.module, n) if n.op == "call_module" else None
        if isinstance(layer, _Linear):
            self.targets[n.name] = _target(layer, result, self._samples)
        return result


def _target(layer: _Linear, y: Tensor, samples: int) -> Target:
    inputs = layer.weight[0].numel()
    columns = inputs * (layer.groups if isinstance(layer, nn.Conv1d | nn.Conv2d) else 1)
    rows = min(_MOST_ROWS, max(_LEAST_ROWS, 8 * columns), max(256, _MOST_VALUES // columns))
    dense = isinstance(layer, nn.Linear)
    size = () if dense else tuple(y.shape[2:])
    positions = output_positions(size, max(1, rows // samples))
    mean, std = _mean_and_std(y, dense=dense)
    chosen = output_rows(y, positions, dense=dense).clone()
    return Target(positions, chosen, mean, std, inputs)


def _mean_and_std(y: Tensor, *, dense: bool) -> tuple[Tensor, Tensor]:
    axes = tuple(range(y.ndim - 1)) if dense else (0, *range(2, y.ndim))
    std, mean = torch.std_mean(y, dim=axes, correction=0)
    return mean, std


class _Fitter(fx.Interpreter):
    """Runs the changed network once; each layer is fitted just before its own turn."""

    def __init__(
        self, module: fx.GraphModule, outputs: Mapping[str, LayerOutput], reference: Reference
    ) -> None:
        super().__init__(module, garbage_collect_values=True)
        self._reference = reference
        self._outputs = outputs
        self._layer_at = {output.node: layer for layer, output in outputs.items()}
        self._drifted: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> Any:
        layer = layer_of(self.module, n) if n.op == "call_module" else None
        drifted = any(source in self._drifted for source in n.all_input_nodes)
        if isinstance(layer, _Linear):
            drifted = self._fit(n, layer, self.env[n.all_input_nodes[0]], drifted=drifted)
        elif drifted and isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            _recalibrate(layer, self.env[n.all_input_nodes[0]])
        if drifted:
            self._drifted.add(n)
        return super().run_node(n)

    def _fit(self, node: fx.Node, layer: _Linear, x: Tensor, *, drifted: bool) -> bool:
        """Fits one layer; whether its outputs differ from the original's now."""
        if INHERITED in node.meta:
            self._split_again(node, layer, x, drifted=drifted)
            if FITS not in node.meta:
                return True
        fits, thinned = self._fits(node, layer), mask_of(layer) is not None
        if fits is None:
            return drifted or thinned
        target = self._reference.targets[fits.layer]
        channels = self._channels(fits)
        narrowed = layer.weight[0].numel() != target.inputs
        mixing = isinstance(layer, nn.Linear) or layer.groups == 1
        if mixing and (FITS in node.meta or narrowed or thinned):
            _fit_weights(layer, x, target, channels)
        elif drifted or thinned:
            _match_spread(layer, x, target, channels)
        return drifted or narrowed or thinned or FITS in node.meta

    def _fits(self, node: fx.Node, layer: _Linear) -> Fits | None:
        if FITS in node.meta:
            found: Fits = node.meta[FITS]
            return found
        name = self._layer_at.get(node.name)
        if name is None or name not in self._reference.targets:
            return None
        return Fits(name, 0, len(layer.weight))

    def _channels(self, fits: Fits) -> Tensor:
        """Which outputs of the original layer the node computes."""
        kept = self._outputs[fits.layer].kept
        if kept is None:
            return torch.arange(fits.start, fits.stop)
        return torch.tensor(kept[fits.start : fits.stop])

    def _split_again(self, node: fx.Node, layer: _Linear, x: Tensor, *, drifted: bool) -> None:
        """Splits the old layer's weights by data; what it read has drifted: fits them first."""
        inherited: Inherited = node.meta[INHERITED]
        nodes = {n.name: n for n in node.graph.nodes}
        last = nodes[(node.name, *inherited.partners)[-1]]
        original = last.meta[FITS].layer
        target = self._reference.targets[original]
        weight, rows = (
            inherited.old.weight.detach(),
            layer_rows(inherited.old, x, target.positions),
        )
        if (
            drifted and inherited.partners
        ):  # a layer that stays in place is fitted after the split
            wanted = target.rows[:, self._channels(Fits(original, 0, len(weight)))]
            goal, _ = fitted_weights(rows, wanted, weight.flatten(1))
            weight = goal.reshape(weight.shape)
        first, *rest = inherited.split(weight, rows)
        set_weight(layer, first)
        if inherited.bias is not None and layer.bias is not None:
            layer.bias.data.copy_(inherited.bias(first, rows))
        for name, values in zip(inherited.partners, rest, strict=True):
            partner = self.module.get_submodule(name)
            set_weight(partner, values)


def _fit_weights(layer: _Linear, x: Tensor, target: Target, channels: Tensor) -> None:
    rows = layer_rows(layer, x, target.positions)
    start, mask = layer.weight.flatten(1), mask_of(layer)
    weight, bias = fitted_weights(
        rows,
        target.rows[:, channels],
        start,
        with_bias=layer.bias is not None,
        support=None if mask is None else mask.flatten(1),
    )
    layer.weight.data.copy_(weight.reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.data.copy_(bias)


def _match_spread(layer: _Linear, x: Tensor, target: Target, channels: Tensor) -> None:
    """Scales and shifts each output channel to the original's mean and standard deviation."""
    mean, std = _mean_and_std(layer(x), dense=isinstance(layer, nn.Linear))
    gain = (target.std[channels] / std.clamp_min(1e-6)).clamp(0.5, 2.0)
    layer.weight.data.mul_(gain.reshape(-1, *(1,) * (layer.weight.ndim - 1)))
    if layer.bias is not None:
        layer.bias.data.copy_(target.mean[channels] + gain * (layer.bias - mean))


def _recalibrate(layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> None:
    """Population statistics of what a batch norm reads in the changed network."""
    axes = (0, *range(2, x.ndim))
    variance, mean = torch.var_mean(x, dim=axes, correction=0)
    if layer.running_mean is not None and layer.running_var is not None:
        layer.running_mean.data.copy_(mean)
        layer.running_var.data.copy_(variance)
