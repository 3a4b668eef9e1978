"""Bytes -> ONNX graph, or a refusal that says what the file is and what would do.

Nothing here runs what an upload says: no unpickling, no file that the model points to, no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError

from compression.errors import ModelRefusedError
from compression.file_formats import HOW_TO_EXPORT, refuse_other_formats

if TYPE_CHECKING:
    from compression.types import Shape

DAMAGED = "The ONNX file is cut off or damaged. Upload it again; if that does not help, export it again."
MAX_BYTES = 2**31 - 1
OLDEST_OPSET = 7

CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
QUANTISED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv"),
    *("QLinearMatMul", "ConvInteger", "MatMulInteger"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxGraph:
    """A checked model: one float input, only standard operators, all weights inside.

    ``input_shape`` is without the batch; ``batch`` is the name or number the model declares.
    """

    model: onnx.ModelProto
    opset: int
    input_name: str
    input_shape: Shape
    output_names: tuple[str, ...]
    batch: int | str


def read_onnx(data: bytes) -> OnnxGraph:
    """Parse and check a model.

    Raises:
        ModelRefusedError: not ONNX, cut off, or outside of what the importer reads; the message
            names operator and node where there is one, and says what would do.
    """
    model = _parse(data)
    opset = _checked_opset(model)
    _check_initializers(model.graph)
    for node in model.graph.node:
        _check_node(node)
    _check_wiring(model.graph)
    batch, shape = _checked_input(model.graph)
    return OnnxGraph(
        model=model,
        opset=opset,
        input_name=graph_inputs(model.graph)[0].name,
        input_shape=shape,
        output_names=tuple(value.name for value in model.graph.output),
        batch=batch,
    )


def graph_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller must feed: old files list the weights among the inputs as well."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def describe(node: onnx.NodeProto) -> str:
    """Operator and node name, the way refusals print them."""
    name = node.name or (node.output[0] if node.output else "")
    return f"operator {node.op_type} (node '{name}')"


def _parse(data: bytes) -> onnx.ModelProto:
    if not data:
        raise ModelRefusedError("The model file is empty.")
    if len(data) > MAX_BYTES:
        size = len(data) / 2**30
        raise ModelRefusedError(
            f"The model file has {size:.1f} GiB; a single ONNX file holds at most 2 GiB."
        )
    refuse_other_formats(data)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        if data[0] == 0x08:  # how nearly every ONNX file starts: the tag of ir_version
            raise ModelRefusedError(DAMAGED) from error
        raise ModelRefusedError(f"This is not an ONNX file. {HOW_TO_EXPORT}.") from error
    if not model.graph.node or not model.graph.output:
        if model.ir_version and data[0] == 0x08:
            raise ModelRefusedError("The ONNX file is cut off: it holds no network.")
        raise ModelRefusedError(f"This is not an ONNX file. {HOW_TO_EXPORT}.")
    _check_text(model.graph)
    return model


def _check_text(graph: onnx.GraphProto) -> None:
    """Names that are no text come as bytes, and nothing further on expects that."""
    names: list[object] = [*graph.input, *graph.output, *graph.initializer]
    texts: list[object] = [value.name for value in names]  # type: ignore[attr-defined]
    for node in graph.node:
        texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
        texts += [attribute.name for attribute in node.attribute]
    if not all(isinstance(text, str) for text in texts):
        raise ModelRefusedError(DAMAGED)


def _checked_opset(model: onnx.ModelProto) -> int:
    opset = max(
        (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0
    )
    if not opset:
        for (
            node
        ) in model.graph.node:  # of other domains, perhaps: then it is they that are in the way
            _check_node(node)
        raise ModelRefusedError(
            "The ONNX file is cut off or damaged: it does not say which operator set it uses."
        )
    if opset < OLDEST_OPSET:
        raise ModelRefusedError(
            f"The model uses ONNX opset {opset}; {OLDEST_OPSET} is the oldest that is read. "
            "Export it again with a newer opset, for example 17."
        )
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise ModelRefusedError(
            f"The model uses ONNX opset {opset}; {newest} is the newest that is read. Export it "
            "again with an older opset, for example 17."
        )
    if model.functions:
        raise ModelRefusedError(
            f"The model brings its own operator {model.functions[0].name} (a model-local "
            "function). Export it with functions inlined (onnx.inliner does that)."
        )
    return opset


def _check_initializers(graph: onnx.GraphProto) -> None:
    unpacked = _read_as_floats(graph)
    for tensor in graph.initializer:
        _check_tensor(tensor, f"The weight '{tensor.name}'", unpacked=tensor.name in unpacked)
    if graph.sparse_initializer:
        raise ModelRefusedError(
            f"The weight '{graph.sparse_initializer[0].values.name}' is stored as a sparse "
            "tensor, which is not read. Export the model with dense weights."
        )


def _read_as_floats(graph: onnx.GraphProto) -> set[str]:
    """Tensors that are only stored small: whatever reads them makes 32-bit floats of them first."""
    casts = {
        node.input[0]
        for node in graph.node
        if node.op_type == "Cast"
        and any(a.name == "to" and a.i == onnx.TensorProto.FLOAT for a in node.attribute)
    }
    others = {name for n in graph.node if n.op_type != "Cast" for name in n.input}
    return casts - others


def _check_wiring(graph: onnx.GraphProto) -> None:
    known = {"", *(t.name for t in graph.initializer), *(v.name for v in graph.input)}
    for node in graph.node:
        for name in node.input:
            if name not in known:
                raise ModelRefusedError(
                    f"The {describe(node)} reads '{name}', which nothing before it computes. The "
                    "file is damaged: export it again."
                )
        known.update(node.output)


def _check_tensor(tensor: onnx.TensorProto, what: str, *, unpacked: bool = False) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ModelRefusedError(
            f"{what} is stored in another file (external data), which is never followed. Save "
            "the model as one file, for example with onnx.save(onnx.load(path), "
            '"one_file.onnx").'
        )
    halves = {onnx.TensorProto.BFLOAT16} | (set() if unpacked else {onnx.TensorProto.FLOAT16})
    if tensor.data_type in halves:
        raise ModelRefusedError(
            f"{what} is in 16-bit floating point. Export the model in 32-bit floating point: "
            "compressing from there gives the better result."
        )


def _check_node(node: onnx.NodeProto) -> None:
    if node.domain not in ("", "ai.onnx"):
        raise ModelRefusedError(
            f"The {describe(node)} belongs to '{node.domain}', not to standard ONNX. Export the "
            "model with standard operators only."
        )
    if node.op_type in QUANTISED:
        raise ModelRefusedError(
            f"The model is already quantised: {describe(node)}. Upload the 32-bit model that it "
            "was made from."
        )
    subgraphs = any(a.HasField("g") or a.graphs for a in node.attribute)
    if node.op_type in CONTROL_FLOW or subgraphs:
        raise ModelRefusedError(
            f"The model decides at run time what to compute: {describe(node)}. Control flow "
            "cannot be compressed; export the network without branches or loops."
        )
    for attribute in node.attribute:
        for tensor in (attribute.t, *attribute.tensors):
            _check_tensor(tensor, f"The constant of {describe(node)}")


def _checked_input(graph: onnx.GraphProto) -> tuple[int | str, Shape]:
    values = graph_inputs(graph)
    if len(values) != 1:
        names = ", ".join(value.name for value in values) or "none"
        raise ModelRefusedError(
            f"The model has {len(values)} inputs ({names}); only models with one are handled. Export "
            "the part behind one input, or join the inputs into one tensor that the network splits."
        )
    kind = values[0].type.tensor_type
    name = values[0].name
    if kind.elem_type != onnx.TensorProto.FLOAT:
        word = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
        raise ModelRefusedError(
            f"The model's input '{name}' takes {word} values; only 32-bit floating point is "
            "handled. Export the model with a float32 input."
        )
    dims = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in kind.shape.dim]
    if len(dims) < 2:
        raise ModelRefusedError(
            f"The model's input '{name}' has shape {dims}: a batch axis and at least one more are "
            "needed."
        )
    if not all(isinstance(dim, int) and dim > 0 for dim in dims[1:]):
        shown = ", ".join(str(dim or "?") for dim in dims)
        raise ModelRefusedError(
            f"The model's input '{name}' has shape [{shown}]: every size but the batch must be a "
            "fixed number. Export the model with a fixed input size."
        )
    batch = dims[0] if dims[0] not in (0, -1, "") else "batch"
    return batch, tuple(int(dim) for dim in dims[1:])
