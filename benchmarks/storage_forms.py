"""How weights are stored: bytes, speed and divergence of every form, dense and with small weights set to zero.

``python -m benchmarks.storage_forms MODEL DATA``: an ONNX file and data as a person uploads them. In each
layer the smallest weights are dropped until the density is reached; nothing is fitted or fine-tuned. The
divergence is that of the file from the float network with the same zeros: what the form itself costs.
"Ideal" is what an order-0 coder of our own would need at least: the entropy of each layer's symbols, one
byte each before coding, plus scales, codebooks and biases.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from compression import latency
from compression.batch_norm_folding import fold_batch_norms
from compression.data import load_data
from compression.evaluation import onnx_log_probabilities, onnx_logits, zip_bytes
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.packed import packed
from compression.preprocessing_trial import try_preprocessing
from compression.sensitivity import kl_divergence, logits
from compression.types import Precision
from compression.weight_storage import StoredWeights, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compression.graph import Network

DENSITIES = (1.0, 0.5, 0.2, 0.1)
GRAPH_BYTES = 800
CALIBRATION, HELD_OUT, ROUNDS = 256, 1000, 40
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)


def thinned(network: Network, density: float) -> Network:
    """The network without the smallest weights of each layer."""
    module = network.copied_module()
    fold_batch_norms(module)
    for layer in (m for m in module.modules() if isinstance(m, WEIGHTED)):
        weight = layer.weight.detach()
        dropped = round((1.0 - density) * weight.numel())
        if dropped:
            least = weight.abs().flatten().kthvalue(dropped).values
            layer.weight = nn.Parameter(weight * (weight.abs() > least))
    return replace(network, module=module)


def ideal_bytes(network: Network) -> int:
    """The least that an order-0 coder with a model for each layer needs, with a bare graph around."""
    return GRAPH_BYTES + round(sum(_layer_bytes(network)))


def _layer_bytes(network: Network) -> Iterator[float]:
    for layer in (m for m in network.module.modules() if isinstance(m, WEIGHTED)):
        weights = stored(layer.weight.detach().numpy(), network.precision)
        yield _entropy_bytes(weights)
        parts = (weights.scales, weights.codebook, layer.bias)
        yield sum(4.0 * part.size for part in parts[:2] if part is not None)
        yield 0.0 if layer.bias is None else 4.0 * layer.bias.numel()


def _entropy_bytes(weights: StoredWeights) -> float:
    shares = np.unique(weights.values, return_counts=True)[1] / weights.values.size
    return float(-(shares * np.log2(shares)).sum()) * weights.values.size / 8


def main(model: bytes, data: Path) -> None:
    network = import_onnx(model, name="trained")
    dataset = load_data(data, network.profile.input_shape, _classes(network), seed=0)
    likeliest = try_preprocessing(dataset, partial(onnx_logits, model))[0]
    dataset = dataset.with_preprocessing(likeliest.preprocessing)
    calibration = dataset.calibration.take(CALIBRATION).x
    x = dataset.search.take(HELD_OUT).x
    files: dict[str, bytes] = {"original": model}
    rows: list[str] = []
    for density in DENSITIES:
        sparse = thinned(network, density)
        answers = logits(sparse, x)
        for precision in Precision:
            variant = replace(sparse, precision=precision)
            exported = export_onnx(variant, calibration)
            verify_export(exported, variant, x[:64])
            files[f"{density} {precision.value}"] = exported
            kl = kl_divergence(answers, onnx_log_probabilities(exported, x))
            rows.append(_row(exported, variant, kl))
    timed = latency.paired_latency(files, x[:1], rounds=ROUNDS)
    print(f"{100 * likeliest.accuracy:.1f} % right as it came, {len(model):,} bytes, ", end="")
    print(f"zip {zip_bytes(model):,}, packed {len(packed(model)):,}")
    for name, row in zip(list(files)[1:], rows, strict=True):
        print(f"| {name.replace(' ', ' | ')} | {row} | {timed[name].ratio:.2f} |")


def _row(exported: bytes, network: Network, kl: float) -> str:
    sizes = (len(exported), zip_bytes(exported), len(packed(exported)))
    in_symbols = network.precision not in (Precision.FP32, Precision.FP16_WEIGHTS)
    ideal = f"{ideal_bytes(network):,}" if in_symbols else "–"
    return " | ".join([*(f"{size:,}" for size in sizes), ideal, f"{kl:.2g}"])


def _classes(network: Network) -> int:
    return network.profile.layers[-1].out_shape[0]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]))
