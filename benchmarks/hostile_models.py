"""Models that were built to harm, by what they try."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmarks.hostile_data import MARKER, good_data, pickled
from tests import networks
from tests.compression import uploads

if TYPE_CHECKING:
    from collections.abc import Callable


def good_model() -> bytes:
    """What the mutated models were, for four classes of 12 x 12 pictures."""
    content: bytes = networks.small_lenet()
    return content


def _edited(change: Callable[[Any], object]) -> bytes:
    model = onnx.load_from_string(good_model())
    change(model)
    content: bytes = model.SerializeToString()
    return content


def _weight(**values: Any) -> Callable[[], bytes]:
    def change(model: Any) -> None:
        weight = model.graph.initializer[0]
        for name, value in values.items():
            if isinstance(value, list):
                weight.ClearField(name)
                getattr(weight, name).extend(value)
            else:
                setattr(weight, name, value)

    return lambda: _edited(change)


def _external(location: str) -> Callable[[], bytes]:
    def change(model: Any) -> None:
        weight = model.graph.initializer[0]
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)
        weight.external_data.add(key="offset", value="-1")
        weight.ClearField("raw_data")

    return lambda: _edited(change)


def _filled(value: float) -> Callable[[], bytes]:
    def change(model: Any) -> None:
        weight = model.graph.initializer[0]
        weight.raw_data = np.full(len(weight.raw_data) // 4, value, np.float32).tobytes()

    return lambda: _edited(change)


def _nested(model: Any) -> None:
    graph = model.graph
    for _ in range(90):  # protobuf itself stops at a hundred
        node = graph.node.add(op_type="If", input=["x"], output=["deep"])
        graph = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g
        graph.name = "deep"


def _protobuf_tower() -> bytes:
    """A graph in a graph ten thousand deep, deeper than any parser of ours may follow."""
    content = b""
    for _ in range(10_000):
        content = b"\x0a" + _number(len(content)) + content
    return b"\x08\x09\x3a" + _number(len(content)) + content


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _circle(model: Any) -> None:
    nodes = model.graph.node
    nodes[0].input[0] = nodes[-1].output[0]


def _calls_itself(model: Any) -> None:
    node = helper.make_node("Again", ["x"], ["y"], domain="mine")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    model.functions.append(helper.make_function("mine", "Again", ["x"], ["y"], [node], opsets))
    model.opset_import.append(opsets[1])
    model.graph.node[0].op_type, model.graph.node[0].domain = "Again", "mine"


def _many_nodes(model: Any) -> None:
    last = model.graph.output[0].name
    for number in range(100_000):
        model.graph.node.add(op_type="Identity", input=[last], output=[f"n{number}"])


def _grows(op_type: str, **attributes: Any) -> Callable[[], bytes]:
    """A node that asks for far more than there is."""

    def change(model: Any) -> None:
        first = model.graph.node[0]
        node = helper.make_node(op_type, [first.input[0], "much"], ["grown"], **attributes)
        much = np.array([1, 1, 2**20, 2**20], np.int64)
        model.graph.initializer.append(onnx.numpy_helper.from_array(much, "much"))
        first.input[0] = "grown"
        model.graph.node.insert(0, node)

    return lambda: _edited(change)


def _constant_of_shape(model: Any) -> None:
    shape = onnx.numpy_helper.from_array(np.array([2**31, 2**20], np.int64), "shape")
    model.graph.initializer.append(shape)
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["huge"]))


def _set(**values: Any) -> Callable[[Any], None]:
    def change(part: Any) -> None:
        for name, value in values.items():
            setattr(part, name, value)

    return change


def _node(**values: Any) -> Callable[[], bytes]:
    """The first node with other facts."""
    return lambda: _edited(lambda model: _set(**values)(model.graph.node[0]))


MODELS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "zeros": lambda: bytes(5000),
    "random bytes": lambda: random.Random(1).randbytes(20_000),  # noqa: S311 - no secret
    "a script": f"import os; open('{MARKER}', 'w')\n".encode,
    "a pickle that runs code": lambda: bytes(pickled()),
    "a zip that says it is PyTorch": lambda: uploads.archive(
        {"m/data.pkl": pickled(), "m/version": b"3"}
    ),
    "a whole that never ends": lambda: b"\x08\x09\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    "a number that never ends": lambda: b"\x08" + b"\xff" * 5000,
    "a million parts": lambda: b"\x08\x09" * 10**6,
    "graphs in graphs, 10,000 deep": _protobuf_tower,
    "graphs in graphs, 90 deep": lambda: _edited(_nested),
    "no graph": lambda: _edited(lambda model: model.ClearField("graph")),
    "no nodes": lambda: _edited(lambda model: model.graph.ClearField("node")),
    "no inputs": lambda: _edited(lambda model: model.graph.ClearField("input")),
    "no outputs": lambda: _edited(lambda model: model.graph.ClearField("output")),
    "no weights": lambda: _edited(lambda model: model.graph.ClearField("initializer")),
    "no opset": lambda: _edited(lambda model: model.ClearField("opset_import")),
    "opset 9999": lambda: _edited(
        lambda model: setattr(model.opset_import[0], "version", 9999)
    ),
    "opset -1": lambda: _edited(lambda model: setattr(model.opset_import[0], "version", -1)),
    "IR version 2^40": lambda: _edited(_set(ir_version=2**40)),
    "a circle": lambda: _edited(_circle),
    "a function that calls itself": lambda: _edited(_calls_itself),
    "100,000 nodes": lambda: _edited(_many_nodes),
    "unknown operator": _node(op_type="__import__"),
    "operator of a domain of its own": _node(domain="os.system"),
    "operator named as a path": _node(op_type="../../../bin/sh"),
    "names with slashes": _node(name="../../../../tmp/x"),
    "names as format strings": _node(name="{0.__class__}%s%n"),
    "names as HTML": _node(name="<script>alert(1)</script>"),
    "a name of a megabyte": _node(name="n" * 10**6),
    "names no database holds": _node(name="a\0b\ud7ff"),
    "the same name twice": lambda: _edited(
        lambda m: setattr(m.graph.node[1], "name", m.graph.node[0].name)
    ),
    "an output that nobody makes": lambda: _edited(
        lambda m: setattr(m.graph.output[0], "name", "nowhere")
    ),
    "an input that nobody gives": lambda: _edited(
        lambda m: m.graph.node[0].input.__setitem__(0, "nowhere")
    ),
    "a weight of 2^60 numbers": _weight(dims=[2**30, 2**30]),
    "a weight of -1 numbers": _weight(dims=[-1, 1, 5, 5]),
    "a weight of 0 numbers": _weight(dims=[0, 1, 5, 5]),
    "a weight of 64 dimensions": _weight(dims=[1] * 64),
    "a weight without its bytes": _weight(raw_data=b""),
    "a weight with odd bytes": _weight(raw_data=b"abc"),
    "a weight of an unknown type": _weight(data_type=999),
    "a weight of strings": _weight(data_type=TensorProto.STRING),
    "a weight of complex numbers": _weight(data_type=TensorProto.COMPLEX128),
    "weights not a number": _filled(float("nan")),
    "weights infinite": _filled(float("inf")),
    "weights 1e38": _filled(1e38),
    "weights in /etc/passwd": _external("/etc/passwd"),
    "weights in ../secret_key": _external("../../secret_key"),
    "weights in /dev/zero": _external("/dev/zero"),
    "weights at an address": _external("http://127.0.0.1:1/x"),
    "pictures made huge (Expand)": _grows("Expand"),
    "pictures made huge (Tile)": _grows("Tile"),
    "pictures made huge (Reshape)": _grows("Reshape"),
    "a constant of 2^51 numbers": lambda: _edited(_constant_of_shape),
    "a kernel of 2^40": lambda: _edited(
        lambda m: m.graph.node[0].attribute[0].ints.extend([2**40] * 3)
    ),
    "the input of no shape": lambda: _edited(
        lambda m: m.graph.input[0].type.tensor_type.ClearField("shape")
    ),
    "the input of -5": lambda: _edited(
        lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", -5)
    ),
    "the input of 2^40": lambda: _edited(
        lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[2], "dim_value", 2**40)
    ),
    "a picture as model": lambda: bytes(uploads.png()),
    "data as model": good_data,
}
