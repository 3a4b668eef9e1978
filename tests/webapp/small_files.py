"""Small uploads, free of Django."""

import io
import zipfile

import numpy as np
from onnx import TensorProto, helper


def onnx_bytes(name="tiny"):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    w = helper.make_tensor("w", TensorProto.FLOAT, [4, 2], [0.5] * 8)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], name, [x], [y], [w]
    )
    return helper.make_model(graph).SerializeToString()


def npz_bytes(seed=0):
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    np.savez(buffer, x=rng.random((20, 4), np.float32), y=np.arange(20) % 2)
    return buffer.getvalue()


def zip_bytes(**entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()
