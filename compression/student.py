"""A network in the form that it is trained in, and the way back to the form that it is exported in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from compression.answer_forms import form_of
from compression.graph import joined
from compression.outputs import AnswerKind
from compression.surgery import node_of
from compression.training_norms import fold_norms, insert_norms
from compression.types import Precision
from compression.untouched import Untouched
from compression.weight_rounding import round_activations, rounded_weights, rounding_offsets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from compression.graph import Network

_BATCH = 256
_PICTURES = 4  # axes of a batch of them
_MANY_MACS = 5_000_000

_UPDATES_A_ROUNDING = {Precision.CODEBOOK: 10}
"""How long rounding errors count as the same (elsewhere 1 update): to cluster weights anew each time
would take longer than the update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingForm:
    """What a network is given for its training.

    Attributes:
        norms: Whether folded batch norms are put back.
        features: Original layers whose outputs are wanted besides the answers.
        calibration: Samples that norms and ranges of activations start from.
        device: Where it is trained.
        brain_floats: Whether products are of bfloat16.
    """

    norms: bool
    features: tuple[str, ...]
    calibration: np.ndarray
    device: torch.device
    brain_floats: bool = False


class Student:
    """A copy of a network with norms put back and numbers rounded as its precision says."""

    def __init__(self, network: Network, form: TrainingForm) -> None:
        self._network = network
        self._precision = network.precision
        self._calibration = torch.from_numpy(form.calibration)
        self._offsets: Mapping[str, Tensor] = {}
        self._updates = 0
        self.device, self._brain_floats = form.device, form.brain_floats
        self.module = network.copied_module()
        self.norms = insert_norms(self.module, self._calibration) if form.norms else {}
        tapped = [self._end_of(network.outputs_of[layer].node) for layer in form.features]
        whole = self._precision is Precision.INT8
        self._rounded = round_activations(self.module) if whole else ()
        tap(self.module, tapped)
        self._has_features = bool(tapped)
        self.module = placed(self.module, form.device)
        self.refresh()

    def answers(self, x: Tensor) -> tuple[Tensor, ...]:
        """Outputs and wanted features, with a gradient; norms put back go by the batch."""
        self._set_training(training=True)
        if self._updates % _UPDATES_A_ROUNDING.get(self._precision, 1) == 0:
            self._round()
        self._updates += 1
        with products(self.device, brain_floats=self._brain_floats):
            found = self._run(x)
        return tuple(each.float() for each in found)

    def outputs(self, x: np.ndarray) -> Iterator[Tensor]:
        """What the exported network will answer, a batch at a time, on the CPU."""
        self._set_training(training=False)
        self._round()
        with torch.no_grad():
            for start in range(0, len(x), _BATCH):
                batch = torch.from_numpy(x[start : start + _BATCH]).to(self.device)
                yield self._run(batch)[0].cpu()

    def refresh(self) -> None:
        """Rounding errors and ranges of the activations as the weights stand now."""
        self._updates = 0
        for layer in self._rounded:
            layer.observe()
        if self._rounded:
            for _ in self.outputs(self._calibration.numpy()):
                pass
        for layer in self._rounded:
            layer.settle()

    def plain(self) -> fx.GraphModule:
        """The module to export: nodes and names of the network it was made from, on the CPU."""
        module = self._network.copied_module()
        trained = {name: value.detach().cpu() for name, value in self.state().items()}
        names = module.state_dict().keys()
        module.load_state_dict({name: trained[name] for name in names})
        fold_norms(module, self.module, self.norms)
        return module.requires_grad_(False)  # noqa: FBT003

    def state(self) -> Mapping[str, Tensor]:
        """Everything that training changes."""
        return self.module.state_dict()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to a ``state``."""
        self.module.load_state_dict(dict(state))

    def layers(self) -> list[nn.Module]:
        """The modules that hold weights; norms put back come last."""
        inserted = [self.module.get_submodule(name) for name in self.norms.values()]
        rest = [m for m in self.module.modules() if m not in set(inserted)]
        return [m for m in (*rest, *inserted) if any(True for _ in m.parameters(recurse=False))]

    def _run(self, x: Tensor) -> tuple[Tensor, ...]:
        weights = rounded_weights(self.module, self._offsets)
        found = functional_call(self.module, weights, (in_order(x),))
        outputs, *features = found if self._has_features else (found,)
        return joined(outputs), *features

    def _round(self) -> None:
        if self._precision is not Precision.FP32:
            self._offsets = rounding_offsets(self.module, self._precision)

    def _set_training(self, *, training: bool) -> None:
        for name in self.norms.values():
            self.module.get_submodule(name).train(training)

    def _end_of(self, node: str) -> str:
        target = str(node_of(self.module, node).target)
        return self.norms.get(target, node)


def tap(module: fx.GraphModule, nodes: Sequence[str]) -> None:
    """Makes the module put out a tuple: what it put out and what those nodes compute, in place."""
    if not nodes:
        return
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    output.args = ((output.args[0], *(node_of(module, name) for name in nodes)),)
    module.recompile()


def placed(module: fx.GraphModule, device: torch.device) -> fx.GraphModule:
    """The module there, in place, its weights in the order of memory that convolutions are quickest in."""
    for parameter in (*module.parameters(), *module.buffers()):
        parameter.data = in_order(parameter.data)
    return module.to(device)


def in_order(x: Tensor) -> Tensor:
    """Pictures with their channels last in memory; other samples as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == _PICTURES else x


def products(device: torch.device, *, brain_floats: bool) -> torch.autocast:
    """Where convolutions and dense layers compute in bfloat16, if at all; what reads only such values follows; weights, their updates and the loss stay in float."""
    return torch.autocast(device.type, torch.bfloat16, enabled=brain_floats)


def brain_floats_pay(network: Network, device: torch.device) -> bool:
    """Whether products in bfloat16 are quicker: the processor has instructions for them, and the network enough to do.

    A training step takes 0.35 to 0.54 times as long then (one core with AMX; networks of 36 to 226 M MACs).
    """
    if network.profile.macs < _MANY_MACS or _computes_elsewhere(network):
        return False
    if any(part.kind is AnswerKind.VALUES for part in form_of(network.profile).parts):
        return (
            False  # a value far from zero would be rounded to steps as large as what it tells
        )
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_avx512_bf16_supported()  # nothing public tells


def training_device(network: Network, wanted: str = "") -> torch.device:
    """CUDA when present and every layer can compute there, else the CPU; or the device wanted."""
    if wanted:
        return torch.device(wanted)
    on_gpu = torch.cuda.is_available() and not _computes_elsewhere(network)
    return torch.device("cuda" if on_gpu else "cpu")


def _computes_elsewhere(network: Network) -> bool:
    """Whether it has layers that ONNX Runtime computes, in float on the CPU."""
    return any(isinstance(m, Untouched) for m in network.module.modules())
