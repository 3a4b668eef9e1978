"""Fits a changed network to the original, layer by layer, in closed form: no gradient, no labels.

In order of the graph, each layer that a technique touched gets the weights that reproduce the
original's outputs best from what the changed network now feeds it (so errors of earlier layers are
repaired by later ones); layers in between are brought back to the original mean and spread.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from compression.layer_paths import pool_behind
from compression.least_squares import (
    Unsolvable,
    fitted_weights,
    layer_rows,
    output_positions,
    output_rows,
)
from compression.pooled_outputs import pooled_outputs
from compression.prefix_cache import PrefixCache
from compression.sparsity import mask_of, set_weight
from compression.surgery import FITS, INHERITED, SHIFTED, Fits, Inherited, layer_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

    from compression.graph import LayerOutput, Network

_LEAST_ROWS = 8192
_MOST_ROWS = 16_384
_MOST_VALUES = 8_000_000
"""Rows times columns of one regression: 64 MB in float64."""

_ROWS_A_WEIGHT = 2
"""Rows for each weight of an output below which a fit repeats the samples instead of learning."""

_Linear = nn.Linear | nn.Conv1d | nn.Conv2d


@dataclass(frozen=True, slots=True)
class Target:
    """What one original layer puts out: some rows of it, and mean and spread of each channel."""

    positions: Tensor
    rows: Tensor
    mean: Tensor
    std: Tensor
    inputs: int


class _LatestRows:
    """Rows of the layer that was split last: all ways to split it see the same."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._rows = torch.empty(0)

    def of(self, layer: _Linear, x: Tensor, positions: Tensor) -> Tensor:
        """``layer_rows``, made once while the very same tensor is read in the same way."""
        dense = isinstance(layer, nn.Linear)
        way = () if dense else (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        if not (self._key and self._key[0] is x and self._key[1:] == (id(positions), way)):
            self._key = (x, id(positions), way)
            self._rows = layer_rows(layer, x, positions)
        return self._rows


@dataclass(frozen=True, slots=True)
class Reference:
    """The original's answers to the calibration samples, kept for any number of changed networks."""

    prefix: PrefixCache
    targets: Mapping[str, Target]
    pooled: Mapping[str, Target]
    """Of convolutions whose pool can go: what they have to put out without it."""
    rows: _LatestRows = field(default_factory=_LatestRows)


def reference_of(original: Network, x: np.ndarray) -> Reference:
    """Runs the original once and keeps what ``fitted`` needs.

    Args:
        original: The network that all changed ones come from.
        x: Calibration samples, float32, ``[samples, *input_shape]``; 256 to 512 are enough.
    """
    samples = torch.from_numpy(x)
    recorder = _Recorder(original, len(samples))
    with torch.inference_mode():
        recorder.run(samples)
    return Reference(PrefixCache(original.module, samples), recorder.targets, recorder.pooled)


def reconstruct(network: Network, original: Network, x: np.ndarray) -> Network:
    """The network with weights fitted to the original's outputs on ``x``; both stay as they were."""
    return fitted(network, reference_of(original, x))


def fitted(network: Network, reference: Reference, *, owned: bool = False) -> Network:
    """``reconstruct`` with the original's answers at hand; a network that is ``owned`` may change."""
    module = network.module if owned else network.copied_module()
    with torch.inference_mode():
        fitter = _Fitter(module, network.outputs_of, reference)
        fitter.run(reference.prefix.x, initial_env=reference.prefix.values_for(module))
    return replace(network, module=module, notes=(*network.notes, *fitter.notes))


class _Recorder(fx.Interpreter):
    def __init__(self, network: Network, samples: int) -> None:
        super().__init__(network.module, garbage_collect_values=True)
        self._samples = samples
        paths = {row.name: pool_behind(row, network.profile) for row in network.profile.layers}
        self._paths = {name: path for name, path in paths.items() if path}
        self.targets: dict[str, Target] = {}
        self.pooled: dict[str, Target] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        layer = layer_of(self.module, n) if n.op == "call_module" else None
        if isinstance(layer, _Linear):
            self.targets[n.name] = _target(layer, result, self._samples)
            if n.name in self._paths:
                *between, pool = (
                    self.module.get_submodule(row.name) for row in self._paths[n.name]
                )
                outputs = pooled_outputs(result, between, pool)
                self.pooled[n.name] = _target(layer, outputs, self._samples)
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
    if dense:
        std, mean = torch.std_mean(y.reshape(-1, y.shape[-1]), dim=0, correction=0)
        return mean, std
    mean, variance = _quick_moments(y.flatten(2))
    coarse = (variance < 1e-4 * mean.square()).nonzero()[:, 0]
    if len(coarse):
        axes = (0, *range(2, y.ndim))
        variance[coarse], mean[coarse] = torch.var_mean(y[:, coarse], dim=axes, correction=0)
    return mean, variance.clamp_min(0.0).sqrt()


def _quick_moments(y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel from sums of squares, 20 times faster than torch's.

    Too coarse where the mean is much larger than the spread.
    """
    mean = y.mean(2).mean(0)
    square = torch.linalg.vector_norm(y, dim=2).square().mean(0) / y.shape[2]
    return mean, square - mean.square()


class _Fitter(fx.Interpreter):
    """Runs the changed network once; each layer is fitted just before its own turn."""

    def __init__(
        self, module: fx.GraphModule, outputs: Mapping[str, LayerOutput], reference: Reference
    ) -> None:
        super().__init__(module, garbage_collect_values=True)
        self._reference = reference
        self._outputs = outputs
        self._layer_at = {
            output.node: layer
            for layer, output in outputs.items()
            if layer in reference.targets
        }
        self._drifted: set[fx.Node] = set()
        self.notes: list[str] = []

    def run_node(self, n: fx.Node) -> Any:
        layer = layer_of(self.module, n) if n.op == "call_module" else None
        drifted = SHIFTED in n.meta or any(s in self._drifted for s in n.all_input_nodes)
        outputs: Tensor | None = None
        if isinstance(layer, _Linear):
            x = self.env[n.all_input_nodes[0]]
            drifted, outputs = self._fit(n, layer, x, drifted=drifted)
        elif drifted and isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            with self._keeping_inherited(n):
                _recalibrate(layer, self.env[n.all_input_nodes[0]])
        if drifted:
            self._drifted.add(n)
        return super().run_node(n) if outputs is None else outputs

    def _fit(
        self, node: fx.Node, layer: _Linear, x: Tensor, *, drifted: bool
    ) -> tuple[bool, Tensor | None]:
        """Fits one layer; whether its outputs differ from the original's now, and they if known."""
        if INHERITED in node.meta:
            with self._keeping_inherited(node):
                self._split_again(node, layer, x, drifted=drifted)
            if FITS not in node.meta:
                return True, None
        fits, thinned = self._fits(node, layer), mask_of(layer) is not None
        if fits is None:
            return drifted or thinned, None
        target = self._target(fits.layer)
        channels = self._channels(fits)
        narrowed = layer.weight[0].numel() != target.inputs
        mixing = isinstance(layer, nn.Linear) or layer.groups == 1
        shifted = SHIFTED in node.meta and len(target.rows) >= _ROWS_A_WEIGHT * target.inputs
        outputs = None
        if FITS in node.meta or (mixing and (narrowed or thinned or shifted)):
            with self._keeping_inherited(node):
                _fit_weights(layer, x, target, channels)
        elif drifted or thinned:
            with self._keeping_inherited(node):
                outputs = _match_spread(layer, x, target, channels)
        return drifted or narrowed or thinned or FITS in node.meta, outputs

    @contextmanager
    def _keeping_inherited(self, node: fx.Node) -> Iterator[None]:
        """Where no finite weights fit, the layer stays as it is, and a note says so."""
        try:
            yield
        except Unsolvable:
            self.notes.append(
                f"Layer {node.name}: no finite weights fit the calibration examples (do they hold "
                "extreme or missing values?); it keeps the weights that it had."
            )

    def _fits(self, node: fx.Node, layer: _Linear) -> Fits | None:
        if FITS in node.meta:
            found: Fits = node.meta[FITS]
            return found
        name = self._layer_at.get(node.name)
        if name is None or name not in self._reference.targets:
            return None
        return Fits(name, 0, len(layer.weight))

    def _target(self, layer: str) -> Target:
        """What is wanted of an original layer now."""
        pooled = self._outputs[layer].pooled
        return self._reference.pooled[layer] if pooled else self._reference.targets[layer]

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
        target = self._target(original)
        weight, rows = (
            inherited.old.weight.detach(),
            self._reference.rows.of(inherited.old, x, target.positions),
        )
        if not rows.isfinite().all():
            raise Unsolvable("what the layer reads is not finite")
        # a layer that stays in place is fitted after the split
        if drifted and inherited.partners:
            wanted = target.rows[:, self._channels(Fits(original, 0, len(weight)))]
            goal, _ = fitted_weights(rows, wanted, weight.flatten(1))
            weight = goal.reshape(weight.shape)
        first, *rest = inherited.split(weight, rows)
        if not all(bool(part.isfinite().all()) for part in (first, *rest)):
            raise Unsolvable("a factor holds values that are not finite")
        set_weight(layer, first)
        if inherited.bias is not None and layer.bias is not None:
            layer.bias.data.copy_(inherited.bias(first, rows))
        for name, values in zip(inherited.partners, rest, strict=True):
            partner = self.module.get_submodule(name)
            set_weight(partner, values)


def _fit_weights(layer: _Linear, x: Tensor, target: Target, channels: Tensor) -> None:
    """Least squares; the groups of a grouped convolution one by one."""
    rows = layer_rows(layer, x, target.positions)
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    inputs, outputs = rows.shape[1] // groups, len(layer.weight) // groups
    mask = mask_of(layer)
    for group in range(groups):
        part = slice(group * outputs, (group + 1) * outputs)
        weight, bias = fitted_weights(
            rows[:, group * inputs : (group + 1) * inputs],
            target.rows[:, channels[part]],
            layer.weight[part].flatten(1),
            with_bias=layer.bias is not None,
            support=None if mask is None else mask[part].flatten(1),
        )
        layer.weight.data[part] = weight.reshape(layer.weight[part].shape).float()
        if layer.bias is not None:
            layer.bias.data[part] = bias.float()


def _match_spread(layer: _Linear, x: Tensor, target: Target, channels: Tensor) -> Tensor:
    """Scales and shifts each output channel to the original's mean and standard deviation.

    Returns:
        What the layer puts out from now on: the convolution need not be computed twice.
    """
    outputs: Tensor = layer(x)
    dense = isinstance(layer, nn.Linear)
    mean, std = _mean_and_std(outputs, dense=dense)
    gain = (target.std[channels] / std.clamp_min(1e-6)).clamp(0.5, 2.0)
    if not (gain.isfinite().all() and mean.isfinite().all()):
        raise Unsolvable("what the layer puts out is not finite")
    layer.weight.data.mul_(gain.reshape(-1, *(1,) * (layer.weight.ndim - 1)))
    shape = (-1,) if dense else (-1, *(1,) * (outputs.ndim - 2))
    outputs.mul_(gain.reshape(shape))
    if layer.bias is not None:
        shift = target.mean[channels] - gain * mean
        layer.bias.data.mul_(gain).add_(shift)
        outputs.add_(shift.reshape(shape))
    return outputs


def _recalibrate(layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> None:
    """Population statistics of what a batch norm reads in the changed network."""
    axes = (0, *range(2, x.ndim))
    variance, mean = torch.var_mean(x, dim=axes, correction=0)
    if not (variance.isfinite().all() and mean.isfinite().all()):
        raise Unsolvable("what the norm reads is not finite")
    if layer.running_mean is not None and layer.running_var is not None:
        layer.running_mean.data.copy_(mean)
        layer.running_var.data.copy_(variance)
