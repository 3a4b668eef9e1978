"""What a technique is, which ones there are, and what the layers they leave alone cost."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from compression.errors import TechniqueRefusedError
from compression.op_costs import stored_weights, totals
from compression.types import (
    Applicability,
    LayerKind,
    LayerProfile,
    NetworkProfile,
    OpSpec,
    Params,
    ParamValue,
    Precision,
)

if TYPE_CHECKING:
    from compression.graph import Network

_FOLDER = Path(__file__).parent / "techniques"
_FREE_OPS = frozenset(
    {"relu", "relu6", "clip", "sigmoid", "tanh", "leaky_relu", "hard_sigmoid"}
    | {"flatten", "reshape", "batch_norm", "dropout", "identity"}
)
_POOLS = {
    "max_pool": "max_pool",
    "average_pool": "average_pool",
    "global_average_pool": "average_pool",
    "global_max_pool": "max_pool",
}
_PRICED_AS = {
    "add": "add",
    "subtract": "multiply",
    "multiply": "multiply",
    **{op: op for op in ("concat", "matmul", "transposed_conv", "softmax", "layer_norm")},
    "resize": "resize",
}
_POINTWISE_OPS = _FREE_OPS | {
    *(
        "softmax",
        "log_softmax",
        "silu",
        "gelu",
        "hard_swish",
        "elu",
        "selu",
        "softplus",
        "mish",
    ),
}


SHARE = "a share above 0 and up to 1"


class Scope(StrEnum):
    """What a technique acts on; ``build`` takes the scopes in this order.

    ``BLOCK`` takes layers out, ``WIDTH`` narrows channel groups, ``STRUCTURE`` replaces a layer,
    ``HEAD`` the fully connected end; ``WEIGHTS`` leaves shapes alone and makes the weights of a layer,
    or of what replaced it, cheaper to store; ``NETWORK`` concerns all weights together.
    """

    BLOCK = "block"
    WIDTH = "width"
    STRUCTURE = "structure"
    HEAD = "head"
    WEIGHTS = "weights"
    NETWORK = "network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One setting of a technique: the action space and the form are made from it."""

    name: str
    unit: str
    levels: tuple[ParamValue, ...]
    help: str

    def refusal(self, value: object) -> str:
        """Why this is no setting, in plain words; empty for a level and for numbers between them.

        Whole numbers start at the least level, other numbers are shares.
        """
        words = [f"“{level}”" for level in self.levels if isinstance(level, str)]
        numbers = [level for level in self.levels if not isinstance(level, str)]
        if isinstance(value, str):
            fits = value in self.levels
        elif not numbers or isinstance(value, bool) or not isinstance(value, int | float):
            fits = False
        elif self._counts:
            fits = value >= min(numbers) and value == value // 1
        else:
            fits = 0 < value <= 1
        if numbers:
            share = f"a whole number from {min(numbers)} on" if self._counts else SHARE
            words.insert(0, share)
        shown = f"“{value}”" if isinstance(value, str) else value
        return "" if fits else f"{self.name} is {shown}, but takes {' or '.join(words)}."

    @property
    def _counts(self) -> bool:
        return all(isinstance(level, int) for level in self.levels)


class Technique(ABC):
    """One way to make a layer (a channel group, the head, the whole network) smaller.

    A technique never changes the network it is given, draws random numbers only from a seed that the
    layer's name fixes, and refuses with a sentence for the user where it cannot help. Weights are inherited in closed form; fitting them to
    data is the business of ``compression.reconstruction``.

    Attributes:
        letter: One or two letters for the tile in the recipe strip.
        token: Name of the colour in ``tokens.css``.
        paper: Where the method comes from, and where we differ.
        note: What a person should know before choosing it; empty for most.
        precedes_others: Whether other techniques of scope ``STRUCTURE`` may treat the same layer after
            this one.
    """

    title: ClassVar[str]
    letter: ClassVar[str]
    token: ClassVar[str]
    paper: ClassVar[str]
    scope: ClassVar[Scope]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    note: ClassVar[str] = ""
    precedes_others: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The registry key: the file name of the technique."""
        return type(self).__module__.rpartition(".")[2]

    def levels(self) -> tuple[Params, ...]:
        """All settings, from the gentlest to the strongest; one empty mapping without parameters."""
        names_ = [parameter.name for parameter in self.parameters]
        values = itertools.product(*(parameter.levels for parameter in self.parameters))
        return tuple(dict(zip(names_, row, strict=True)) for row in values)

    def applies_to(self, layer: LayerProfile, network: NetworkProfile) -> Applicability:
        """Whether any level can treat the layer; when none can, the reason of the first one."""
        if layer.untouched:
            return Applicability(yes=False, reason=layer.untouched)
        reasons = [self.refusal(layer, network, params) for params in self.levels()]
        if "" in reasons:
            return Applicability(yes=True)
        return Applicability(yes=False, reason=reasons[0])

    def distinct_levels(
        self, layer: LayerProfile, network: NetworkProfile
    ) -> tuple[Params, ...]:
        """The levels that can treat the layer, each cost once: rounding makes some alike."""
        found: dict[object, Params] = {}
        for params in self.levels():
            if not self.refusal(layer, network, params):
                whole = self.scope is Scope.NETWORK
                key = params if whole else self.cost(self.treated(layer, network), params)
                found.setdefault(repr(key), params)
        return tuple(found.values())

    def treated(self, layer: LayerProfile, network: NetworkProfile) -> LayerProfile:
        """The row as ``cost`` wants to see it, and as a technique upon this one would find it.

        ``layer`` may be ``resized``, then it is not in the network.
        """
        del network
        return layer

    def precision(self, params: Params) -> Precision:
        """How the whole network is stored and computed afterwards; for scope ``NETWORK`` alone."""
        raise NotImplementedError(self.name, params)

    def removes(self, layer: LayerProfile, network: NetworkProfile) -> tuple[str, ...]:
        """Names of the *other* rows of the layer table that are gone when this layer is treated."""
        del layer, network
        return ()

    def stored(self, op: OpSpec, layer: LayerProfile, params: Params) -> OpSpec:
        """One of the operations that stand for the layer, as a technique of scope ``WEIGHTS`` leaves it.

        At most its density changes.
        """
        del layer, params
        return op

    def saves(self, layer: LayerProfile, params: Params) -> bool:
        """Whether what replaces the layer stores fewer weights and does fewer multiply-adds.

        Stored are the weights that are not zero. Where some are zero, more multiply-adds are allowed,
        since bytes are then what is to be saved; time is predicted from all of them as ever.
        """
        ops = self.cost(layer, params)
        is_sparse = any(op.density < 1.0 for op in ops)
        return stored_weights(ops) < layer.params and (is_sparse or totals(ops)[0] < layer.macs)

    def check_settings(self, params: Params) -> None:
        """Levels come from here and are right; a recipe may come from anywhere.

        Raises:
            TechniqueRefusedError: for a setting that is missing, unknown or out of range.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        reasons = [f"there is no setting {name}." for name in params if name not in known]
        for name, parameter in known.items():
            if name not in params:
                reasons.append(f"the setting {name} is missing.")
            elif reason := parameter.refusal(params[name]):
                reasons.append(reason)
        if reasons:
            raise TechniqueRefusedError(f"{self.title}: {reasons[0]}")

    def check(self, network: Network, layer: str, params: Params) -> LayerProfile:
        """The profile of the layer, once the technique is known to be able to treat it.

        Raises:
            TechniqueRefusedError: with the layer and the reason in plain words.
        """
        known = {row.name: row for row in network.profile.layers}
        if layer not in known:
            raise TechniqueRefusedError(
                f"{self.title}: the network has no layer called “{layer}” (any more)."
            )
        reason = self.refusal(known[layer], network.profile, params)
        if reason:
            raise TechniqueRefusedError(f"{self.title} cannot treat “{layer}”: {reason}")
        return known[layer]

    @abstractmethod
    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Why this level cannot treat the layer, in plain words; empty when it can."""

    @abstractmethod
    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """A new network in which the layer is treated; the given one stays as it was.

        Raises:
            TechniqueRefusedError: when the layer cannot be treated at this level.
        """

    @abstractmethod
    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The operations that stand where the layer stood, at batch 1.

        ``layer`` is one that ``treated`` gave, and may be ``resized``: the cost follows its input and
        output channels. For a technique of scope ``WIDTH`` it is the layer itself with fewer output
        channels.
        """


@cache
def names() -> tuple[str, ...]:
    """The techniques there are: the files of ``compression/techniques``, by name."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(_FOLDER)])))


@cache
def get(name: str) -> Technique:
    """The technique of that name, imported on first use.

    Raises:
        TechniqueRefusedError: when there is none.
    """
    if name not in names():
        raise TechniqueRefusedError(
            f"There is no technique called “{name}”. There are: {', '.join(names())}."
        )
    module = importlib.import_module(f"compression.techniques.{name}")
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    own = [c for c in classes if issubclass(c, Technique) and c.__module__ == module.__name__]
    technique: Technique = own[0]()
    return technique


def head_rows(network: NetworkProfile) -> tuple[LayerProfile, ...]:
    """The fully connected head: from the first to the last of the dense layers that end the network.

    Activations between them are included, what follows the last one (a softmax) is not. Empty when
    the network does not end in a plain chain of dense layers, or has several ends.
    """
    if len(network.output_layers) > 1:
        return ()
    rows = network.layers
    start = len(rows)
    while start and (
        rows[start - 1].kind is LayerKind.DENSE or rows[start - 1].op in _POINTWISE_OPS
    ):
        start -= 1
    dense = [i for i in range(start, len(rows)) if rows[i].kind is LayerKind.DENSE]
    return rows[dense[0] : dense[-1] + 1] if dense else ()


def identity_cost(layer: LayerProfile) -> tuple[OpSpec, ...]:
    """What a layer costs when it is left alone; nothing where runtimes fuse it or only relabel."""
    if layer.kind is LayerKind.CONV or layer.kind is LayerKind.DENSE:
        return (_layer_spec(layer, layer.kind.value),)
    if layer.op in _FREE_OPS:
        return ()
    if layer.op in _POOLS:
        spec = _layer_spec(layer, _POOLS[layer.op])
        return (spec,)
    return (_layer_spec(layer, _PRICED_AS.get(layer.op, "elementwise")),)


def _layer_spec(layer: LayerProfile, op: str) -> OpSpec:
    kernel = layer.kernel
    if layer.op.startswith("global_"):
        kernel = layer.in_shape[1:]
    return OpSpec(
        op=op,
        in_shape=layer.in_shape,
        out_shape=layer.out_shape,
        kernel=kernel,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
        macs=layer.macs,
        params=layer.params,
    )
