"""Bytes -> ONNX graph, or a refusal that says what the file is and what would do.

Nothing here runs what an upload says: no unpickling, no file that the model points to, no code.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError

from compression.errors import ModelRefusedError

if TYPE_CHECKING:
    from compression.types import Shape

HOW_TO_EXPORT = (
    "Export it to ONNX where it was trained, for example with "
    'torch.onnx.export(model, example_input, "model.onnx"), and upload that file'
)
MAX_BYTES = 2**31 - 1
OLDEST_OPSET = 7

CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
QUANTISED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv"),
    *("QLinearMatMul", "ConvInteger", "MatMulInteger"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxGraph:
    """A checked model: one float input, one output, only standard operators, all weights inside.

    ``input_shape`` is without the batch; ``batch`` is the name or number the model declares.
    """

    model: onnx.ModelProto
    opset: int
    input_name: str
    input_shape: Shape
    output_name: str
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
    batch, shape = _checked_input(model.graph)
    return OnnxGraph(
        model=model,
        opset=opset,
        input_name=graph_inputs(model.graph)[0].name,
        input_shape=shape,
        output_name=_checked_output(model.graph),
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
    _refuse_other_formats(data)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        if data[0] == 0x08:  # how nearly every ONNX file starts: the tag of ir_version
            raise ModelRefusedError(
                "The ONNX file is cut off or damaged. Upload it again; if that does not help, "
                "export it again."
            ) from error
        raise ModelRefusedError(f"This is not an ONNX file. {HOW_TO_EXPORT}.") from error
    if not model.graph.node or not model.graph.output:
        if model.ir_version and data[0] == 0x08:
            raise ModelRefusedError("The ONNX file is cut off: it holds no network.")
        raise ModelRefusedError(f"This is not an ONNX file. {HOW_TO_EXPORT}.")
    return model


def _refuse_other_formats(data: bytes) -> None:
    if data[:4] == b"PK\x03\x04":
        raise ModelRefusedError(f"{_zip_contents(data)} {HOW_TO_EXPORT}.")
    if data[0] == 0x80 and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise ModelRefusedError(
            "This is a Python pickle (an old PyTorch file?), not ONNX. Opening a pickle runs the "
            f"code in it, so it is never opened here. {HOW_TO_EXPORT}."
        )
    for start, offset, text in (
        (b"\x89HDF\r\n", 0, "This is an HDF5 file (Keras?), not ONNX."),
        (b"TFL3", 4, "This is a TensorFlow Lite file, not ONNX."),
        (b"\x93NUMPY", 0, "This is a NumPy array, not an ONNX model."),
        (b'{"', 8, "This is a safetensors file: weights without the network."),
    ):
        if data[offset : offset + len(start)] == start:
            raise ModelRefusedError(f"{text} {HOW_TO_EXPORT}.")


def _zip_contents(data: bytes) -> str:
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except zipfile.BadZipFile:
        names = []
    if any("/code/" in f"/{name}" for name in names):
        return "This is a TorchScript file, not ONNX; TorchScript holds code that opening runs."
    if any(name.endswith("data.pkl") for name in names):
        return (
            "This is a PyTorch file (a pickle inside a zip), not ONNX. Opening a pickle runs the "
            "code in it, so it is never opened here."
        )
    if any(name.endswith(".npy") for name in names):
        return "This is a NumPy archive, not an ONNX model."
    return "This is a zip archive, not an ONNX file."


def _checked_opset(model: onnx.ModelProto) -> int:
    opset = max(
        (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0
    )
    if not opset:
        raise ModelRefusedError(
            "The ONNX file is cut off or damaged: it does not say which operator set it uses."
        )
    if opset < OLDEST_OPSET:
        raise ModelRefusedError(
            f"The model uses ONNX opset {opset}; {OLDEST_OPSET} is the oldest that is read. "
            "Export it again with a newer opset, for example 17."
        )
    if model.functions:
        raise ModelRefusedError(
            f"The model brings its own operator {model.functions[0].name} (a model-local "
            "function). Export it with functions inlined (onnx.inliner does that)."
        )
    return opset


def _check_initializers(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _check_tensor(tensor, f"The weight '{tensor.name}'")
    if graph.sparse_initializer:
        raise ModelRefusedError(
            f"The weight '{graph.sparse_initializer[0].values.name}' is stored as a sparse "
            "tensor, which is not read. Export the model with dense weights."
        )


def _check_tensor(tensor: onnx.TensorProto, what: str) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ModelRefusedError(
            f"{what} is stored in another file (external data), which is never followed. Save "
            "the model as one file, for example with onnx.save(onnx.load(path), "
            '"one_file.onnx").'
        )
    if tensor.data_type in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16):
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
            f"The model has {len(values)} inputs ({names}); only models with one are handled."
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


def _checked_output(graph: onnx.GraphProto) -> str:
    if len(graph.output) != 1:
        names = ", ".join(value.name for value in graph.output)
        raise ModelRefusedError(
            f"The model has {len(graph.output)} outputs ({names}); only models with one are "
            "handled. Export it with the class scores as its only output."
        )
    return str(graph.output[0].name)
