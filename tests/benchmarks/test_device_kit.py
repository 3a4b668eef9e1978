import json

import numpy as np
import onnx
import pytest

from benchmarks.devices.kit import KIT, graphs, write
from compression.cost import FEATURES
from compression.runtime import optimised_onnx, quiet_session

GRAPHS = {graph.name: graph for graph in graphs()}


def test_kit_is_what_its_script_makes(tmp_path):
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in KIT.iterdir()}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (KIT / path.name).read_bytes(), path.name


def test_files_are_small():
    assert max(path.stat().st_size for path in KIT.iterdir()) < 40_000
    assert sum(path.stat().st_size for path in KIT.iterdir()) < 150_000


def test_kit_spans_all_terms_of_the_model():
    rows = json.loads((KIT / "kit.json").read_text())["graphs"]
    features = np.array([row["features"] for row in rows])
    assert features.shape == (len(GRAPHS), len(FEATURES))
    assert (features[:, :6] > 0).any(axis=0).all()
    shares = features / features.max(axis=0)
    assert np.linalg.matrix_rank(shares) == len(FEATURES)


@pytest.mark.parametrize("name", GRAPHS)
def test_numbers_stay_normal_and_nothing_is_optimised_away(name):
    graph = GRAPHS[name]
    x = np.random.default_rng(0).uniform(0.1, 1, (1, *graph.input_shape)).astype(np.float32)
    session = quiet_session(graph.onnx())
    (y,) = session.run(None, {"x": x})
    assert y.shape == (1, *graph.shape)
    assert np.isfinite(y).all()
    assert 1e-3 < np.abs(y).min() <= np.abs(y).max() < 1e3
    operators = [
        node.op_type for node in onnx.load_from_string(optimised_onnx(graph.onnx())).graph.node
    ]
    assert sum("ReorderI" not in op and "ReorderO" not in op for op in operators) >= len(
        graph.ops
    )
    assert "ConstantOfShape" not in operators


def test_features_are_those_of_the_engine():
    """A network is counted alike, whether the kit or a study counts it."""
    from compression.cost import op_features
    from compression.onnx_import import import_onnx
    from compression.technique import identity_cost

    for name in ("mobile", "residual", "conv-1d"):
        profile = import_onnx(GRAPHS[name].onnx()).profile
        counted = sum(op_features(op) for row in profile.layers for op in identity_cost(row))
        ours = sum(op_features(op) for op in GRAPHS[name].ops)
        assert counted == pytest.approx(ours, rel=0.01), name
