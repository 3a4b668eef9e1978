import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

SAMPLES = Path(__file__).resolve().parents[3] / "webapp" / "samples"


def _accuracy(name: str) -> float:
    facts = tomllib.loads((SAMPLES / name / "sample.toml").read_text())
    prepared = facts["preprocessing"]
    with np.load(SAMPLES / name / facts["data"], allow_pickle=False) as data:
        x, y = data["x_test"].astype(np.float32), data["y_test"]
    channels = (1, -1, *[1] * (x.ndim - 2))
    mean, std = (np.reshape(np.float32(prepared[key]), channels) for key in ("mean", "std"))
    x = (x / np.float32(prepared["divide"]) - mean) / std
    session = onnxruntime.InferenceSession((SAMPLES / name / facts["model"]).read_bytes())
    logits = [session.run(None, {"input": part})[0] for part in np.array_split(x, 20)]
    return float((np.concatenate(logits).argmax(1) == y).mean())


@pytest.mark.parametrize(("name", "least"), [("digits", 0.992), ("motion", 0.88)])
def test_sample_network_is_as_good_as_its_text_says(name, least):
    assert _accuracy(name) >= least


@pytest.mark.parametrize(("name", "parameters"), [("digits", 61_706), ("motion", 326_791)])
def test_sample_network_is_the_classic_one(name, parameters):
    model = onnx.load_model(SAMPLES / name / "model.onnx")
    weights = [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    ]
    assert sum(int(np.prod(tensor.dims)) for tensor in weights) == parameters


def test_no_person_is_in_validation_and_test():
    with np.load(SAMPLES / "motion" / "data.npz", allow_pickle=False) as data:
        assert set(data["group_val"]) == {8}
        assert set(data["group_test"]) == {9, 10}


def test_samples_stay_small_together():
    files = [path for path in SAMPLES.rglob("*") if path.suffix in (".onnx", ".npz")]
    assert sum(path.stat().st_size for path in files) <= 8_000_000
