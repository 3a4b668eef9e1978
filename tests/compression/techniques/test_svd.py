from dataclasses import replace

import pytest
import torch

from compression.errors import TechniqueRefusedError
from compression.factorization import columns_and_rows, low_rank_factors, thin_and_wide
from compression.onnx_import import import_onnx
from compression.technique import get
from tests.networks import cnn_1d, grouped, lenet, vgg

SVD = get("svd")


@pytest.mark.parametrize("shape", [(12, 7), (7, 12), (8, 5, 3), (6, 4, 1, 1)])
def test_full_rank_is_the_identity(shape):
    weight = torch.randn(shape)
    first, second = thin_and_wide(min(shape[0], weight[0].numel()), weight, None)
    product = second.flatten(1) @ first.flatten(1)
    assert torch.allclose(product, weight.flatten(1).double(), atol=1e-6)


def test_full_rank_of_a_square_kernel_is_the_identity():
    weight = torch.randn(4, 3, 5, 5)
    columns, rows = columns_and_rows(15, weight, None)
    x = torch.randn(2, 3, 9, 9).double()
    two = torch.conv2d(torch.conv2d(x, columns), rows)
    assert torch.allclose(two, torch.conv2d(x, weight.double()), atol=1e-6)


def test_covariance_decides_what_is_kept():
    matrix = torch.eye(6, dtype=torch.float64)
    covariance = torch.diag(torch.tensor([1.0, 9.0, 1.0, 9.0, 1.0, 1.0]).double())
    first, second = low_rank_factors(matrix, 2, covariance)
    kept = (first @ second).diagonal() > 0.5
    assert kept.tolist() == [False, True, False, True, False, False]


def test_factors_weigh_the_same():
    first, second = low_rank_factors(torch.randn(20, 8) * 100, 4)
    assert torch.allclose(first.norm(dim=0), second.norm(dim=1))


def test_square_kernel_becomes_a_column_and_a_row():
    network = SVD.apply(import_onnx(vgg()), "features_1", {"rank_ratio": 0.25})
    rows = [row for row in network.profile.layers if row.name.startswith("features_1")]
    assert [row.kernel for row in rows] == [(3, 1), (1, 3)]


def test_signal_kernel_becomes_fewer_channels():
    network = import_onnx(cnn_1d())
    conv = next(
        row for row in network.profile.layers if row.op == "conv" and row.in_channels > 4
    )
    changed = SVD.apply(network, conv.name, {"rank_ratio": 0.25})
    rows = [row for row in changed.profile.layers if row.name.startswith(conv.name)]
    assert [row.kernel for row in rows] == [conv.kernel, (1,)]


def test_level_that_saves_nothing_is_refused():
    network = import_onnx(lenet())
    with pytest.raises(TechniqueRefusedError, match="not be smaller"):
        SVD.apply(network, "fc1", {"rank_ratio": 0.9})
    assert SVD.applies_to(network.profile.layer("fc1"), network.profile).yes


def test_published_ranks_are_a_twelfth_of_the_outputs():
    profile = import_onnx(vgg()).profile
    thin, _ = SVD.cost(profile.layer("classifier_0"), {"rank_ratio": "n/12"})
    assert thin.out_shape == (6,)  # of 64 outputs, even
    wide = profile.layer("features_3").resized(in_channels=72, out_channels=72)
    columns, _ = SVD.cost(wide, {"rank_ratio": "n/12"})
    assert columns.out_shape[0] == 6
    large = replace(wide, kernel=(5, 5), padding=(2, 2))
    columns, _ = SVD.cost(large, {"rank_ratio": "n/12"})
    assert columns.out_shape[0] == 6


def test_grouped_convolution_is_refused():
    network = import_onnx(grouped())
    conv = next(row for row in network.profile.layers if row.groups > 1)
    assert "grouped" in SVD.applies_to(conv, network.profile).reason
