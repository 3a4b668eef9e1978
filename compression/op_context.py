"""One operation as it runs among others: what ONNX Runtime leaves of it between convolutions.

Convolutions hand each other their channels in blocks, or last where they compute in 8 bits, and
take in additions. Alone, an operation pays for the way into that layout and out of it; in a network
only the first and the last one do. So the operation is set between convolutions, the runtime
optimises all, and what then stands between them is cut out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from compression.op_models import (
    AFTER,
    BEFORE,
    has_convolutions_around,
    op_between_convolutions,
    single_op_onnx,
)
from compression.runtime import optimised_onnx, quiet_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnxruntime as ort
    from numpy.typing import NDArray

    from compression.types import OpSpec, Precision

_CONVOLUTIONS = frozenset({"Conv", "QLinearConv", "FusedConv"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Excerpt:
    """A model as ONNX, its operators, and what it reads by name, in the runtime's own layout.

    ``optimised`` means that the runtime may still change it: what was cut out of a network it had optimised stays as it is.
    """

    data: bytes
    optimised: bool
    operators: tuple[str, ...]
    feed: dict[str, NDArray[np.generic]]

    def session(self) -> ort.InferenceSession:
        """A new session of it, on one thread."""
        return quiet_session(self.data, optimised=self.optimised)

    @property
    def n_bytes(self) -> int:
        """What it holds in memory."""
        return len(self.data) + sum(values.nbytes for values in self.feed.values())


def in_context(op: OpSpec, precision: Precision) -> Excerpt | None:
    """The operation as a network of convolutions runs it.

    Alone where it does not work on feature maps; nothing where a neighbour takes it in.

    Raises:
        ValueError: an operation of unknown kind.
    """
    if not has_convolutions_around(op):
        return alone(op, precision)
    model = onnx.load_from_string(optimised_onnx(op_between_convolutions(op, precision)))
    result = _source_of_last(model)
    nodes, read = _between(model, result)
    if not nodes:
        return None
    return Excerpt(
        data=_cut(model, nodes, read, [result]),
        optimised=False,
        operators=tuple(node.op_type for node in nodes),
        feed=_computed(model, read),
    )


def alone(op: OpSpec, precision: Precision) -> Excerpt:
    """The operation as a network of its own, with random input.

    Raises:
        ValueError: an operation of unknown kind.
    """
    data = single_op_onnx(op, precision)
    nodes = onnx.load_from_string(data).graph.node
    return Excerpt(
        data=data,
        optimised=True,
        operators=tuple(node.op_type for node in nodes),
        feed=_random_feed(quiet_session(data)),
    )


def _source_of_last(model: onnx.ModelProto) -> str:
    """The tensor that the convolution behind the operation reads."""
    last = (node for node in model.graph.node if node.name.startswith(AFTER))
    return str(next(node.input[0] for node in last if node.op_type in _CONVOLUTIONS))


def _between(model: onnx.ModelProto, result: str) -> tuple[list[onnx.NodeProto], list[str]]:
    """The nodes that lead from the convolutions before the operation to a tensor, and what they read."""
    makers = {name: node for node in model.graph.node for name in node.output}
    open_names, found, read = [result], set(), []
    while open_names:
        name = open_names.pop()
        if name not in makers or name in found or name in read:
            continue
        node = makers[name]
        if node.name.startswith(BEFORE) and node.op_type in _CONVOLUTIONS:
            read.append(name)
            continue
        found.update(node.output)
        open_names += node.input
    nodes = [node for node in model.graph.node if found.intersection(node.output)]
    return nodes, read


def _cut(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    read: Sequence[str],
    results: Sequence[str],
) -> bytes:
    """A model of some of the nodes, from some tensors to others, whatever their shapes."""
    used = {name for node in nodes for name in node.input}
    part = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    part.graph.name = model.graph.name
    part.graph.node.extend(nodes)
    part.graph.initializer.extend(t for t in model.graph.initializer if t.name in used)
    kind = model.graph.input[0].type.tensor_type.elem_type
    part.graph.input.extend(_declared(name, kind) for name in read)
    part.graph.output.extend(_declared(name, kind) for name in results)
    return bytes(part.SerializeToString())


def _declared(name: str, kind: int) -> onnx.ValueInfoProto:
    declared = onnx.ValueInfoProto(name=name)
    declared.type.tensor_type.elem_type = kind
    return declared


def _computed(model: onnx.ModelProto, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """What the model computes for some tensors inside it, in the runtime's own layout."""
    whole = onnx.load_from_string(_cut(model, model.graph.node, [], names))
    whole.graph.input.append(model.graph.input[0])
    session = quiet_session(bytes(whole.SerializeToString()), optimised=False)
    return dict(zip(names, session.run(list(names), _random_feed(session)), strict=True))


def _random_feed(session: ort.InferenceSession) -> dict[str, NDArray[np.generic]]:
    rng = np.random.default_rng(0)
    feed: dict[str, NDArray[np.generic]] = {}
    for entry in session.get_inputs():
        values = 100 * rng.random([n if isinstance(n, int) else 1 for n in entry.shape])
        feed[entry.name] = values.astype(np.uint8 if "uint8" in entry.type else np.float32)
    return feed
