"""ONNX Runtime as this engine wants it: one thread, no log, errors in words."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from compression.errors import ModelRefusedError

ORT_ERRORS: tuple[type[Exception], ...] = (
    *(ort_state.Fail, ort_state.InvalidArgument, ort_state.InvalidGraph),
    *(ort_state.InvalidProtobuf, ort_state.NotImplemented, ort_state.RuntimeException),
    *(ort_state.EPFail, ort_state.NoSuchFile, ort_state.NoModel, RuntimeError, ValueError),
)


def quiet_session(data: bytes, *, optimised: bool = True) -> ort.InferenceSession:
    """A session on one thread that logs nothing.

    Raises:
        ModelRefusedError: ONNX Runtime cannot load the model.
    """
    return _session(data, _options(optimised=optimised))


def optimised_onnx(data: bytes) -> bytes:
    """What ONNX Runtime makes of a model on this machine, its own operators included.

    Raises:
        ModelRefusedError: ONNX Runtime cannot load the model.
        OSError: there is no room for a temporary file of that size.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "optimised.onnx"
        options = _options(optimised=True)
        options.optimized_model_filepath = str(target)
        try:
            _session(data, options)
        except ModelRefusedError:
            target.write_bytes(data)  # where the disk is what refused, this says so
            raise
        return target.read_bytes()


def _options(*, optimised: bool) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _session(data: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        # without enable_fallback=0 the package prints its troubles on standard output
        return ort.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except ORT_ERRORS as error:
        raise ModelRefusedError(
            f"ONNX Runtime cannot load the model: {sentence(error)}"
        ) from error


def sentence(error: Exception) -> str:
    """The runtime's own words without its codes, types and source lines."""
    text = str(error).strip().split("\n", maxsplit=1)[0]
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"^\S+\.(cc|h):\d+ (\S+\(.*\)|\w+ \S+\(.*\)|\S+) ", "", text)
    node = re.search(r'In Node, \("([^"]*)", (\w+).*, Error (.*)$', text)
    if node:
        text = f"operator {node[2]} (node '{node[1]}'): {node[3]}"
    text = re.sub(
        r"^Non-zero status code returned while running (\w+) node\. Name:'(.*?)' Status Message: ",
        r"operator \1 (node '\2'): ",
        text,
    )
    return text[:300].rstrip(". ") + "."
