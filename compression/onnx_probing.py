"""What a model computes on the way: one run in ONNX Runtime at each of two batch sizes.

The runs give the true shape of every tensor, the value of everything that does not depend on the
input data, and so fold constants and shape arithmetic without any shape inference of our own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from compression.errors import ModelRefusedError
from compression.onnx_reading import OnnxGraph, describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.types import Shape

ORT_ERRORS: tuple[type[Exception], ...] = (
    *(ort_state.Fail, ort_state.InvalidArgument, ort_state.InvalidGraph),
    *(ort_state.InvalidProtobuf, ort_state.NotImplemented, ort_state.RuntimeException),
    *(ort_state.EPFail, ort_state.NoSuchFile, ort_state.NoModel, RuntimeError, ValueError),
)
SHAPE_READERS = {"Shape", "Size"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the runs told.

    ``shapes``: of each tensor that depends on the input data, without the batch.
    ``constants``: the value of each tensor that does not.
    ``inputs``, ``outputs``: what the first run was fed and gave.
    ``fixed_batch``: the only batch size that the model runs at; ``None`` when it takes any.
    """

    shapes: Mapping[str, Shape]
    constants: Mapping[str, np.ndarray]
    inputs: np.ndarray
    outputs: np.ndarray
    fixed_batch: int | None


@dataclass(frozen=True, slots=True)
class _Run:
    batch: int
    shapes: dict[str, Shape]
    values: dict[str, np.ndarray]
    inputs: np.ndarray
    outputs: np.ndarray


def probe(graph: OnnxGraph) -> Probe:
    """Run the model at two batch sizes (or at its only one) and keep what was learnt.

    Raises:
        ModelRefusedError: ONNX Runtime cannot run the model, or a node mixes samples of a batch.
    """
    dependent = data_dependent(graph)
    session, names = _instrumented(graph)
    if isinstance(graph.batch, int):
        runs, fixed = [_run(session, names, graph, graph.batch, dependent)], graph.batch
    else:
        try:
            runs = [_run(session, names, graph, batch, dependent) for batch in (2, 3)]
            fixed = None
        except ModelRefusedError:  # a batch of one is written into a reshape
            runs, fixed = [_run(session, names, graph, 1, dependent)], 1
    _check_batch_axis(graph, runs, dependent)
    first = runs[0]
    constants = {
        name: value
        for name, value in first.values.items()
        if all(
            np.array_equal(value, run.values[name], equal_nan=_is_float(value)) for run in runs
        )
    }
    return Probe(
        shapes={name: shape[1:] for name, shape in first.shapes.items()},
        constants=constants | _initializers(graph),
        inputs=first.inputs,
        outputs=first.outputs,
        fixed_batch=fixed,
    )


def data_dependent(graph: OnnxGraph) -> set[str]:
    """Names of the tensors whose values follow the input's values (not only its shape)."""
    names = {graph.input_name}
    for node in graph.model.graph.node:
        if node.op_type not in SHAPE_READERS and names.intersection(node.input):
            names.update(output for output in node.output if output)
    return names


def quiet_session(data: bytes, *, optimised: bool = True) -> ort.InferenceSession:
    """A session on one thread that logs nothing.

    Raises:
        ModelRefusedError: ONNX Runtime cannot load the model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        # without enable_fallback=0 the package prints its troubles on standard output
        return ort.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except ORT_ERRORS as error:
        raise ModelRefusedError(
            f"ONNX Runtime cannot load the model: {_sentence(error)}"
        ) from error


def _instrumented(graph: OnnxGraph) -> tuple[ort.InferenceSession, list[str]]:
    """A session on the model with every tensor as output, and the names of those outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    have = {value.name for value in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in have:
                have.add(name)
                model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = quiet_session(model.SerializeToString(), optimised=False)
    return session, [output.name for output in session.get_outputs()]


def _run(
    session: ort.InferenceSession,
    names: list[str],
    graph: OnnxGraph,
    batch: int,
    dependent: set[str],
) -> _Run:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((batch, *graph.input_shape)).astype(np.float32)
    try:
        results = session.run(names, {graph.input_name: inputs})
    except ORT_ERRORS as error:
        raise ModelRefusedError(
            f"ONNX Runtime cannot run the model: {_sentence(error)}"
        ) from error
    found = dict(zip(names, results, strict=True))
    return _Run(
        batch=batch,
        shapes={n: np.shape(v) for n, v in found.items() if n in dependent}
        | {graph.input_name: inputs.shape},
        values={n: np.asarray(v) for n, v in found.items() if n not in dependent},
        inputs=inputs,
        outputs=np.asarray(found[graph.output_name]),
    )


def _check_batch_axis(graph: OnnxGraph, runs: list[_Run], dependent: set[str]) -> None:
    for node in graph.model.graph.node:
        for name in node.output:
            if name not in dependent or not name:
                continue
            shapes = [run.shapes[name] for run in runs]
            kept = all(s and s[0] == run.batch for s, run in zip(shapes, runs, strict=True))
            if not kept or len({shape[1:] for shape in shapes}) != 1:
                raise ModelRefusedError(
                    f"The {describe(node)} does not keep the batch as its first axis (its output "
                    f"has shape {list(shapes[0])} at batch {runs[0].batch}). Export the model so "
                    "that every sample of a batch is treated alike."
                )


def _initializers(graph: OnnxGraph) -> dict[str, np.ndarray]:
    return {t.name: onnx.numpy_helper.to_array(t) for t in graph.model.graph.initializer}


def _is_float(value: np.ndarray) -> bool:
    return bool(np.issubdtype(value.dtype, np.floating))


def _sentence(error: Exception) -> str:
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
