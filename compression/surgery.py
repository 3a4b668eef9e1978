"""Edits of an fx graph that keep the layer table and the original layers' outputs right."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeGuard, TypeVar

import torch
from torch import Tensor, fx, nn

from compression.channel_rules import constant_entries
from compression.constant_modules import ConstantOperand
from compression.graph import LayerOutput, Network, profiled
from compression.shape_modules import Expanded, Reshape
from compression.sparsity import narrow_mask, thin_out
from compression.types import LayerKind, LayerProfile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compression.op_costs import ConvGeometry
    from compression.types import Shape

_WEIGHTED = nn.Linear | nn.Conv1d | nn.Conv2d
_Layer = TypeVar("_Layer", bound=nn.Module)

FITS = "fits"
"""Key of ``node.meta``: which original layer's outputs the node computes (``Fits``)."""

STANDS_FOR = "stands_for"
"""Key of ``node.meta``: name of the layer, as it was before any technique, that the node is part of."""

SHIFTED = "shifted"
"""Key of ``node.meta``: what the node reads, or has to put out, is no longer what it was at first."""

INHERITED = "inherited"
"""Key of ``node.meta``: how its weights and its partners' came about (``Inherited``)."""


@dataclass(frozen=True, slots=True)
class Fits:
    """The node computes outputs ``start`` to ``stop`` of what is left of an original layer."""

    layer: str
    start: int
    stop: int


Split = Callable[[Tensor, Tensor | None], tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True)
class Inherited:
    """How the weights of a layer were split, for reconstruction to split them again by data.

    ``split`` takes weights of the ``old`` layer and what it sees (``None``: no data) and returns
    the weights of the first new layer and of its ``partners``, the nodes behind it, the last of
    which fits outputs of the old layer. Without partners the layer itself is that one. ``bias``
    makes the bias of the first, from its weights and what it sees, where it has one.
    """

    old: nn.Linear | nn.Conv1d | nn.Conv2d
    split: Split
    partners: tuple[str, ...]
    bias: Callable[[Tensor, Tensor], Tensor] | None = None


class Surgeon:
    """A copy of a network's module under the knife, at one node that something shall replace."""

    def __init__(self, network: Network, at: str) -> None:
        self.network = network
        self.module = network.copied_module()
        self.old = node_of(self.module, at)

    @property
    def convolution(self) -> nn.Conv1d | nn.Conv2d:
        """The layer to be replaced, known to be a convolution.

        Raises:
            TypeError: when it is none.
        """
        old = layer_of(self.module, self.old)
        if not isinstance(old, nn.Conv1d | nn.Conv2d):
            raise TypeError(type(old).__name__)
        return old

    def insert(self, name: str, layer: nn.Module, source: fx.Node | None = None) -> fx.Node:
        """Calls a new module on the source (default: what the old node reads)."""
        name = self._free(name)
        self.module.add_module(name, layer)
        with self.module.graph.inserting_before(self.old):
            node = self.module.graph.create_node(
                "call_module", name, (source or self.old.all_input_nodes[0],), {}, name=name
            )
        node.meta[STANDS_FOR] = self.old.meta.get(STANDS_FOR, self.old.name)
        if SHIFTED in self.old.meta:
            node.meta[SHIFTED] = True
        return node

    def replace_by_chain(
        self, stages: Mapping[str, ConvGeometry], split: Split, *, sparse: bool = False
    ) -> Network:
        """The network in which convolutions one behind the other stand for the convolution.

        ``split`` makes their weights from the old ones; the last has the bias and is fitted to what
        the old layer put out. Where the last is ``sparse``, what is zero in it stays zero.
        """
        old, last = self.convolution, len(stages) - 1
        nodes: list[fx.Node] = []
        weights = split(old.weight.detach(), None)
        for i, ((name, stage), weight) in enumerate(zip(stages.items(), weights, strict=True)):
            layer = convolution(stage, weight, old.bias if i == last else None)
            if sparse and i == last:
                thin_out(layer, weight != 0)
            nodes.append(self.insert(f"{self.old.name}_{name}", layer, *nodes[-1:]))
        partners = tuple(node.name for node in nodes[1:])
        nodes[0].meta[INHERITED] = Inherited(old, split, partners)
        self.fits(nodes[-1], 0, old.out_channels)
        return self.replace_by(nodes[-1])

    def concatenate(self, name: str, sources: Sequence[fx.Node]) -> fx.Node:
        """Joins the sources along the channels."""
        with self.module.graph.inserting_before(self.old):
            return self.module.graph.create_node(
                "call_function", torch.cat, (list(sources), 1), {}, name=self._free(name)
            )

    def fits(self, node: fx.Node, start: int, stop: int) -> None:
        """Notes on a new node that it computes those outputs of the layer that it replaces."""
        original = original_layer(self.network, self.old.name)
        if original is not None:
            node.meta[FITS] = Fits(original, start, stop)

    def fit_behind(self) -> None:
        """Notes on all up to the nearest layers with weights that what they read will change."""
        open_ = list(self.old.users)
        while open_:
            node = open_.pop()
            layer = layer_of(self.module, node)
            if SHIFTED not in node.meta and not isinstance(layer, _WEIGHTED):
                open_ += node.users
            node.meta[SHIFTED] = True

    def replace_by(self, new: fx.Node) -> Network:
        """The network in which the new node stands for the old; what nobody reads is gone."""
        old = self.old.name
        self.old.replace_all_uses_with(new)
        self.module.graph.eliminate_dead_code()
        self.module.delete_all_unused_submodules()
        left = {node.name for node in self.module.graph.nodes}
        outputs = {
            layer: replace(output, node=new.name) if output.node == old else output
            for layer, output in self.network.outputs_of.items()
        }
        outputs = {layer: output for layer, output in outputs.items() if output.node in left}
        return finished(self.network, self.module, outputs)

    def _free(self, name: str) -> str:
        taken = {node.name for node in self.module.graph.nodes}
        while name in taken or hasattr(self.module, name):
            name += "_"
        return name


def finished(
    network: Network, module: fx.GraphModule, outputs: Mapping[str, LayerOutput]
) -> Network:
    """The network with a changed module, checked by fx and profiled afresh."""
    module.graph.lint()
    module.recompile()
    profile = profiled(module, network.profile)
    return replace(network, module=module, profile=profile, outputs_of=outputs)


def convolution(geometry: ConvGeometry, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A convolution of that geometry with those weights."""
    kind = nn.Conv1d if len(geometry.kernel) == 1 else nn.Conv2d
    layer = kind(
        geometry.in_channels,
        geometry.out_channels,
        geometry.kernel,  # type: ignore[arg-type]
        stride=geometry.stride,  # type: ignore[arg-type]
        padding=geometry.padding,  # type: ignore[arg-type]
        dilation=geometry.dilation,  # type: ignore[arg-type]
        groups=geometry.groups,
        bias=geometry.bias,
    )
    return _with_values(layer, weight, bias)


def dense(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A dense layer with those weights, ``[outputs, inputs]``."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _with_values(layer, weight, bias)


def _with_values(layer: _Layer, weight: Tensor, bias: Tensor | None) -> _Layer:
    layer.weight = nn.Parameter(weight.detach().float().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().float().clone())
    return layer.eval()


def node_of(module: fx.GraphModule, name: str) -> fx.Node:
    """The node of that name; ``KeyError`` when there is none."""
    nodes: dict[str, fx.Node] = {node.name: node for node in module.graph.nodes}
    return nodes[name]


def layer_of(module: nn.Module, node: fx.Node) -> nn.Module | None:
    """The module that a node calls, if it calls one."""
    return module.get_submodule(str(node.target)) if node.op == "call_module" else None


def weights_of(network: Network, layer: str) -> Tensor:
    """The weights of a convolution or dense layer, ``[outputs, inputs, *kernel]``."""
    found = layer_of(network.module, node_of(network.module, layer))
    if not isinstance(found, nn.Linear | nn.Conv1d | nn.Conv2d):
        raise TypeError(type(found).__name__)
    return found.weight.detach()


def thinned(network: Network, layer: str, mask: Tensor, choose: Split | None = None) -> Network:
    """The network in which the weights of a layer outside the mask are zero, and stay zero.

    What a split made of weights that are thinned now is not split again: zeros would be lost.

    Args:
        network: Any network; it stays as it was.
        layer: Name of a convolution or dense layer.
        mask: Shaped like its weights, ``True`` where they stay.
        choose: Makes the thinned weights anew from data, for reconstruction (see ``Inherited``).
    """
    module = network.copied_module()
    at = node_of(module, layer)
    changed = module.get_submodule(str(at.target))
    for node in module.graph.nodes:
        inherited: Inherited | None = node.meta.get(INHERITED)
        if inherited is not None and layer in (node.name, *inherited.partners):
            del node.meta[INHERITED]
    original = original_layer(network, layer)
    if choose is not None and original is not None and _mixes_all(changed):
        at.meta.setdefault(FITS, Fits(original, 0, len(mask)))
        at.meta[INHERITED] = Inherited(copy.deepcopy(changed), choose, ())
    thin_out(changed, mask)
    return replace(network, module=module)


def _mixes_all(layer: nn.Module) -> TypeGuard[nn.Linear | nn.Conv1d | nn.Conv2d]:
    """Whether each output of a layer depends on all inputs."""
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return layer.groups == 1
    return isinstance(layer, nn.Linear)


def parts_of(network: Network, layer: str) -> tuple[str, ...]:
    """Names of the nodes that a layer consists of now: itself, or the modules that replaced it."""
    nodes = network.module.graph.nodes
    return tuple(n.name for n in nodes if n.meta.get(STANDS_FOR, n.name) == layer)


def original_layer(network: Network, node: str) -> str | None:
    """Which original conv or dense layer a node stands for, by the name it had at import."""
    found = [layer for layer, output in network.outputs_of.items() if output.node == node]
    return found[0] if found else None


def without_channels(network: Network, group: int, kept: Sequence[int]) -> Network:
    """The network with only those channels of a group left, in all layers that write or read it.

    Args:
        network: Any network; it stays as it was.
        group: Id of a prunable channel group.
        kept: Ascending indices of the channels that stay.
    """
    module = network.copied_module()
    rows = {row.name: row for row in network.profile.layers}
    moments = dict(network.moments)
    for node in module.graph.nodes:
        layer = layer_of(module, node)
        if layer is None:
            continue
        node.meta.pop(INHERITED, None)  # the old layer would not fit what is read from now on
        row = rows[node.name]
        if row.out_group == group:
            node.meta.pop(FITS, None)
        channels = channels_left(row, group, kept)
        _narrow(layer, row, channels, torch.tensor(kept) if row.out_group == group else None)
        if node.name in moments and channels is not None:
            moments[node.name] = moments[node.name][channels][:, channels]
    outputs = _narrowed_outputs(network, rows, group, kept)
    return replace(finished(network, module, outputs), moments=moments)


def channels_left(row: LayerProfile, group: int, kept: Sequence[int]) -> Tensor | None:
    """Which input channels of a layer stay when a group is narrowed; ``None`` when all do."""
    if all(found != group for found, _ in row.in_groups):
        return None
    left: list[int] = []
    start = 0
    for found, width in row.in_groups:
        left += [start + i for i in kept] if found == group else range(start, start + width)
        start += width
    return torch.tensor(left)


def _narrowed_outputs(
    network: Network, rows: Mapping[str, LayerProfile], group: int, kept: Sequence[int]
) -> dict[str, LayerOutput]:
    outputs = dict(network.outputs_of)
    for layer, output in network.outputs_of.items():
        row = rows.get(output.node)
        if row is not None and row.out_group == group:
            before = output.kept or range(row.out_channels)
            outputs[layer] = replace(output, kept=tuple(before[i] for i in kept))
    return outputs


def _narrow(
    layer: nn.Module, row: LayerProfile, inputs: Tensor | None, outputs: Tensor | None
) -> None:
    """Cuts the module to the given input and output channels (``None``: all)."""
    if row.kind is LayerKind.OTHER:
        if inputs is not None:
            _narrow_channelwise(layer, row, inputs)
    elif row.is_depthwise:
        if outputs is not None:
            _narrow_outputs(layer, outputs)
            layer.in_channels = layer.groups = len(outputs)  # type: ignore[assignment]
    else:
        if inputs is not None:
            _narrow_inputs(layer, _spread(inputs, row.in_multiplier))
        if outputs is not None:
            _narrow_outputs(layer, outputs)


def _spread(channels: Tensor, multiplier: int) -> Tensor:
    """Feature indices of the channels, each of which stands for ``multiplier`` neighbours."""
    return (channels[:, None] * multiplier + torch.arange(multiplier)).flatten()


def _narrow_inputs(layer: nn.Module, features: Tensor) -> None:
    layer.weight = _part(layer.weight, features, 1)
    narrow_mask(layer, features, 1)
    if isinstance(layer, nn.Linear):
        layer.in_features = len(features)
    else:
        layer.in_channels = len(features)  # type: ignore[assignment]


def _narrow_outputs(layer: nn.Module, kept: Tensor) -> None:
    layer.weight = _part(layer.weight, kept, 0)
    narrow_mask(layer, kept, 0)
    if layer.bias is not None:
        layer.bias = _part(layer.bias, kept, 0)
    if isinstance(layer, nn.Linear):
        layer.out_features = len(kept)
    else:
        layer.out_channels = len(kept)  # type: ignore[assignment]


def _narrow_channelwise(layer: nn.Module, row: LayerProfile, kept: Tensor) -> None:
    """Norms, PReLU and constants hold one value a channel, a reshape names its sizes; others hold none."""
    if isinstance(
        layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm1d | nn.InstanceNorm2d
    ):
        layer.num_features = len(kept)
        for name in ("weight", "bias"):
            setattr(layer, name, _part(getattr(layer, name), kept, 0))
        for name in ("running_mean", "running_var"):
            if getattr(layer, name) is not None:
                setattr(layer, name, getattr(layer, name)[kept].clone())
    elif isinstance(layer, nn.PReLU) and layer.weight.numel() > 1:
        layer.weight = _part(layer.weight, kept, 0)
        layer.num_parameters = len(kept)
    elif isinstance(layer, Reshape | Expanded):
        layer.shape = _narrowed_shape(layer.shape, row, len(kept))
    elif isinstance(layer, ConstantOperand) and constant_entries(layer, row.in_axis + 1) > 1:
        layer.value = layer.value.index_select(row.in_axis + 1, kept).clone()


def _narrowed_shape(shape: Shape, row: LayerProfile, kept: int) -> Shape:
    """A shape that names the channels (each as its entries behind a flatten), with fewer of them."""
    entries = shape[row.out_axis] // row.in_channels
    return (*shape[: row.out_axis], entries * kept, *shape[row.out_axis + 1 :])


def _part(values: object, kept: Tensor, axis: int) -> nn.Parameter:
    if not isinstance(values, Tensor):
        raise TypeError(type(values).__name__)
    return nn.Parameter(values.detach().index_select(axis, kept).clone())
