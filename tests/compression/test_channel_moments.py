import numpy as np

from compression.channel_moments import observed
from compression.onnx_import import import_onnx
from tests.networks import OnnxBuilder


def test_dense_layer_on_as_many_vectors_as_they_are_long_sees_features_not_positions():
    b = OnnxBuilder(4, 4)
    x = b.op("MatMul", "x", b.weight("fc.weight", 4, 3))
    network = import_onnx(b.build(x, (4, 3)))
    x = np.random.default_rng(0).standard_normal((64, 4, 4)) * np.array([1, 2, 3, 4.0])
    seen = observed(network, x.astype(np.float32)).moments["fc"]
    expected = np.cov(x.reshape(-1, 4).T, bias=True)
    np.testing.assert_allclose(seen.numpy(), expected, rtol=1e-4, atol=1e-4)
