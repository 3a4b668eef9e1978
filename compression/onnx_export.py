"""``Network`` -> ONNX file, checked: what is offered for download was loaded again and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from torch import fx, nn

from compression.batch_norm_folding import fold_batch_norms
from compression.errors import ModelRefusedError, VerificationError
from compression.graph import each_output
from compression.onnx_emission import emit
from compression.op_models import single_op_onnx
from compression.quantization import NEWEST_QDQ_OPSET, QDQ_OPSET, quantised
from compression.runtime import quiet_session
from compression.technique_names import title_of
from compression.types import Precision
from compression.weight_storage import few_bytes, rounded

if TYPE_CHECKING:
    from compression.graph import Network

__all__ = ["export_dense", "export_onnx", "opset_note", "single_op_onnx", "verify_export"]

TOLERANCES = {**dict.fromkeys(Precision, 1e-3), Precision.INT8: 0.5}
"""Largest difference to the network, relative to the output's largest value, by precision."""


def export_onnx(
    network: Network,
    calibration: np.ndarray | None = None,
    *,
    in_float: tuple[str, ...] = (),
) -> bytes:
    """The network as ONNX at its precision; interface names, opset and batch are the upload's.

    Small stored forms are unpacked by nodes that ONNX Runtime folds when it loads the file, so it
    runs at the speed of float: ``FP16_WEIGHTS`` as ``half -> Cast``, ``INT8_WEIGHTS`` as ``int8 ->
    Cast -> Mul(scale)``, ``CODEBOOK`` and tensors with enough exact zeros as in
    ``onnx_weight_streams``. (``DequantizeLinear`` is not folded: it nearly halved the speed of
    LeNet-5.) The opset is raised where it is older than the form: to 11, for ``INT8`` to 13; and lowered
    where ONNX Runtime has no 8-bit operators that new.

    Args:
        network: any network of the vocabulary that ``onnx_import`` makes.
        calibration: inputs ``[n, *input_shape]`` that set the ranges for ``INT8``; unused otherwise.
        in_float: names of layers that ``INT8`` leaves in float, see ``int8_fallback``.

    Raises:
        ValueError: ``INT8`` without calibration inputs.
    """
    if network.precision is not Precision.INT8:
        return _emitted(network, network.precision, network.profile.opset)
    batch = network.profile.batch
    if calibration is None or len(calibration) < (batch if isinstance(batch, int) else 1):
        raise ValueError(
            "8-bit computation needs calibration inputs, at least one batch of them"
        )
    opset = min(max(network.profile.opset, QDQ_OPSET), NEWEST_QDQ_OPSET)
    data = _emitted(network, Precision.INT8, opset)
    return quantised(data, calibration, network.profile, in_float=in_float)


def opset_note(data: bytes, network: Network) -> str:
    """A sentence for the user where a file is written for another opset than the upload; else empty."""
    had = network.profile.opset
    found = next(o.version for o in onnx.load_from_string(data).opset_import if not o.domain)
    if found == had:
        return ""
    what = f"The file is written for operator set {found}, where the upload has {had}:"
    if found < had:
        return f"{what} ONNX Runtime does not compute 8-bit networks of newer ones yet."
    return (
        f"{what} older ones cannot hold "
        f"weights in this form. A runtime that needs the old one can use a build without {title_of('int8')}, "
        f"{title_of('weight_clustering')} and techniques that thin out weights."
    )


def export_dense(network: Network) -> bytes:
    """The network in float with every weight written out, zeros too: for readers that fold nothing."""
    # What a quantiser starts from is that form, whatever arithmetic it ends with.
    return _emitted(network, Precision.INT8, network.profile.opset)


def _emitted(network: Network, precision: Precision, opset: int) -> bytes:
    module = network.copied_module()
    fold_batch_norms(module)
    return emit(module, network.profile, opset=opset, precision=precision)


def verify_export(
    data: bytes, network: Network, inputs: np.ndarray, tolerance: float | None = None
) -> float:
    """Load the file in ONNX Runtime and compare it with the network, at batch 1 and all at once.

    Args:
        data: the exported file.
        network: what it was exported from; weights stored small are compared as rounded.
        inputs: ``[n, *input_shape]``, n at least 1; of a fixed-batch model as many are compared as
            fill whole batches, repeated where they do not fill one.
        tolerance: largest allowed relative difference; by precision when left out.

    Returns:
        The largest difference of any output, relative to its own largest value.

    Raises:
        VerificationError: the file does not load, or it computes something else.
    """
    inputs = _filled(network, inputs)
    limit = TOLERANCES[network.precision] if tolerance is None else tolerance
    try:
        session = quiet_session(data)
    except ModelRefusedError as error:
        raise VerificationError(f"The exported file does not load: {error}") from error
    expected = _expected(network, inputs)
    names = list(network.profile.output_names)
    worst = 0.0
    for batch in _batches(network, len(inputs)):
        feed = {network.profile.input_name: inputs[batch].astype(np.float32)}
        for wanted, found in zip(expected, session.run(names, feed), strict=True):
            if not np.isfinite(found).all():
                raise VerificationError(
                    "The exported file computes values that are not numbers."
                )
            scale = max(float(np.abs(wanted).max()), 1e-6)
            worst = max(worst, float(np.abs(found - wanted[batch]).max()) / scale)
    if worst > limit:
        raise VerificationError(
            f"The exported file differs from the network by {worst:.1e} of the largest output; "
            f"{limit:.0e} is allowed."
        )
    return worst


def _filled(network: Network, inputs: np.ndarray) -> np.ndarray:
    """At least one whole batch."""
    batch = network.profile.batch
    if isinstance(batch, int) and len(inputs) < batch:
        return np.resize(inputs, (batch, *inputs.shape[1:]))
    return inputs


def _batches(network: Network, n: int) -> list[slice]:
    batch = network.profile.batch
    if isinstance(batch, int):
        return [slice(start, start + batch) for start in range(0, n - batch + 1, batch)]
    return [slice(0, 1), slice(0, n)]


def _expected(network: Network, inputs: np.ndarray) -> list[np.ndarray]:
    module = network.copied_module().eval()
    fold_batch_norms(module)
    if network.precision is not Precision.INT8:
        _round_weights(module, network.precision)
    with torch.no_grad():
        found = module(torch.from_numpy(inputs.astype(np.float32)))
    return [output.numpy() for output in each_output(found)]


def _round_weights(module: fx.GraphModule, precision: Precision) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            values = rounded(layer.weight.detach().numpy(), precision)
            layer.weight = nn.Parameter(torch.from_numpy(values))
            if layer.bias is not None:
                short = few_bytes(layer.bias.detach().numpy(), precision)
                layer.bias = nn.Parameter(torch.from_numpy(short.astype(np.float32)))
