"""What a model computes on the way: one run in ONNX Runtime at each of two batch sizes.

The runs give the true shape of every tensor, the value of everything that does not depend on the
input data, and so fold constants and shape arithmetic without any shape inference of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from compression.errors import ModelRefusedError
from compression.runtime import ORT_ERRORS, quiet_session, sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    import onnxruntime as ort

    from compression.onnx_reading import OnnxGraph
    from compression.types import Shape

SHAPE_READERS = {"Shape", "Size"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the runs told.

    ``shapes``: of each tensor that depends on the input data, in the first run.
    ``batch``: how many samples the first run had.
    ``varying``: the axes whose size differed between the runs; empty for a model of fixed batch.
    ``constants``: the value of each tensor that does not depend on the data; of one that only repeats the
        same for every sample in its first axis, the value for one sample, ``[1, ...]``.
    ``repeated``: that value of each tensor that repeats the same for every sample, batch first, and
        the axis in which the model repeats it.
    ``changing``: integers that follow the size of the batch alone, in the first run.
    ``inputs``, ``outputs``: what the first run was fed, and what it gave for each output.
    ``real``: the tensors that depend on the data and hold floating point numbers.
    ``fixed_batch``: the only batch size that the model runs at; ``None`` when it takes any.
    """

    shapes: Mapping[str, Shape]
    batch: int
    varying: Mapping[str, Shape]
    constants: Mapping[str, np.ndarray]
    repeated: Mapping[str, tuple[np.ndarray, int]]
    changing: Mapping[str, np.ndarray]
    inputs: np.ndarray
    outputs: tuple[np.ndarray, ...]
    fixed_batch: int | None
    real: Set[str]

    def is_real(self, name: str) -> bool:
        """Whether a tensor that depends on the data holds floating point numbers."""
        return name in self.real


@dataclass(frozen=True, slots=True)
class _Run:
    batch: int
    shapes: dict[str, Shape]
    values: dict[str, np.ndarray]
    real: set[str]
    inputs: np.ndarray
    outputs: tuple[np.ndarray, ...]


def probe(graph: OnnxGraph) -> Probe:
    """Run the model at two batch sizes (or at its only one) and keep what was learnt.

    Raises:
        ModelRefusedError: ONNX Runtime cannot run the model.
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
    first = runs[0]
    constants, repeated = _constant(runs), _repeated(runs)
    return Probe(
        shapes=first.shapes,
        batch=first.batch,
        varying=_varying(*runs) if fixed is None else {},
        constants=constants
        | {name: value for name, (value, axis) in repeated.items() if axis == 0}
        | _initializers(graph),
        repeated=repeated,
        changing={
            n: v for n, v in first.values.items() if n not in constants and v.dtype.kind == "i"
        },
        inputs=first.inputs,
        outputs=first.outputs,
        fixed_batch=fixed,
        real=first.real,
    )


def _constant(runs: list[_Run]) -> dict[str, np.ndarray]:
    """What came out alike in all runs."""
    return {
        name: value
        for name, value in runs[0].values.items()
        if all(
            np.array_equal(value, run.values[name], equal_nan=_is_float(value)) for run in runs
        )
    }


def _repeated(runs: list[_Run]) -> dict[str, tuple[np.ndarray, int]]:
    """What came out alike for every sample, such as a class token expanded to the batch."""
    found = {}
    for name, value in runs[0].values.items() if len(runs) > 1 else ():
        others = [run.values[name] for run in runs]
        axes = [
            a
            for a, sizes in enumerate(zip(*(o.shape for o in others), strict=False))
            if len(set(sizes)) > 1
        ]
        if len(axes) != 1 or any(
            o.shape[axes[0]] != run.batch for o, run in zip(others, runs, strict=True)
        ):
            continue
        first = np.moveaxis(value, axes[0], 0)[:1]
        if all((np.moveaxis(o, axes[0], 0) == first).all() for o in others):
            found[name] = (first, axes[0])
    return found


def _varying(first: _Run, second: _Run) -> dict[str, Shape]:
    """The axes that follow the batch; empty where even their number changes."""
    return {
        name: tuple(
            axis
            for axis, sizes in enumerate(zip(shape, second.shapes[name], strict=False))
            if len(set(sizes)) > 1
        )
        for name, shape in first.shapes.items()
    }


def data_dependent(graph: OnnxGraph) -> set[str]:
    """Names of the tensors whose values follow the input's values (not only its shape)."""
    names = {graph.input_name}
    for node in graph.model.graph.node:
        if node.op_type not in SHAPE_READERS and names.intersection(node.input):
            names.update(output for output in node.output if output)
    return names


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
            f"ONNX Runtime cannot run the model: {sentence(error)}"
        ) from error
    found = dict(zip(names, results, strict=True))
    return _Run(
        batch=batch,
        shapes={
            n: v.shape
            for n, v in found.items()
            if n in dependent and isinstance(v, np.ndarray)  # a sequence has no shape
        }
        | {graph.input_name: inputs.shape},
        real={n for n in found if n in dependent and _is_float(np.asarray(found[n]))}
        | {graph.input_name},
        values={n: np.asarray(v) for n, v in found.items() if n not in dependent},
        inputs=inputs,
        outputs=tuple(np.asarray(found[name]) for name in graph.output_names),
    )


def _initializers(graph: OnnxGraph) -> dict[str, np.ndarray]:
    return {t.name: onnx.numpy_helper.to_array(t) for t in graph.model.graph.initializer}


def _is_float(value: np.ndarray) -> bool:
    return bool(np.issubdtype(value.dtype, np.floating))
