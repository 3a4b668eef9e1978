import numpy as np
import pytest

from compression.sparse_index import (
    IndexForm,
    expected_index_bytes,
    gap_codes,
    index_bytes,
    packed_index,
    skip_code,
)
from compression.types import OpSpec, Precision
from compression.weight_codebook import clustered
from compression.weight_storage import (
    HALVED_OVERHEAD_BYTES,
    Coding,
    few_bytes,
    rounded,
    stored,
    stored_bytes,
)

STORING = [p for p in Precision if p is not Precision.FP32]
SHAPES = [
    (16, 8, 3, 3),
    (64, 64, 3, 3),
    (32, 1, 3, 3),
    (24, 48, 5),
    (120, 400),
    (10, 84),
    (2, 3),
]


def weights(*shape: int, density: float = 1.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.2, 3.0, (shape[0], *[1] * (len(shape) - 1)))
    kept = rng.random(shape) < density
    return (rng.standard_normal(shape) * spread * kept).astype(np.float32)


def error(values: np.ndarray, precision: Precision) -> float:
    """Squared error relative to the weights."""
    return float(np.square(rounded(values, precision) - values).sum() / np.square(values).sum())


# --- rounding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("precision", Precision)
def test_what_was_rounded_is_not_rounded_again(precision, shape):
    for density in (1.0, 0.2):
        once = rounded(weights(*shape, density=density), precision)
        assert once.dtype == np.float32
        assert once.shape == shape
        np.testing.assert_allclose(rounded(once, precision), once, rtol=1e-5)


def test_fewer_bits_lose_more():
    values = weights(64, 64, 3, 3)
    losses = [error(values, p) for p in (*STORING[:-1],)]
    assert error(values, Precision.FP32) == 0
    assert 0 < losses[0] < losses[1] < losses[2] < 0.02


def test_same_weights_are_rounded_the_same_way():
    first, second = (rounded(weights(64, 128), Precision.CODEBOOK) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("density", [0.02, 0.1, 0.5])
def test_zeros_stay_zeros(precision, density):
    values = weights(64, 96, density=density)
    assert not rounded(values, precision)[values == 0].any()


def test_codebook_holds_at_most_sixteen_values_an_output():
    values = rounded(weights(16, 512), Precision.CODEBOOK)
    assert max(len(np.unique(row)) for row in values) <= 16


def test_small_and_depthwise_layers_stay_in_eight_bits_under_a_codebook():
    assert stored(weights(16, 16, 3, 3), Precision.CODEBOOK).coding is Coding.INT8
    assert stored(weights(512, 1, 3, 3), Precision.CODEBOOK).coding is Coding.INT8
    assert stored(weights(64, 64, 3, 3), Precision.CODEBOOK).coding is Coding.CODES


def test_tiny_layers_stay_float():
    for precision in (Precision.CODEBOOK, Precision.INT8_WEIGHTS, Precision.FP16_WEIGHTS):
        assert stored(weights(2, 3), precision).coding is Coding.FLOAT


def test_weights_too_large_for_half_precision_stay_float():
    values = weights(8, 40)
    values[0, 0] = 1e6
    assert stored(values, Precision.FP16_WEIGHTS).coding is Coding.FLOAT
    np.testing.assert_array_equal(rounded(values, Precision.FP16_WEIGHTS), values)


def test_layer_of_zeros_only_can_be_stored():
    for precision in Precision:
        assert not rounded(np.zeros((64, 64, 3, 3), np.float32), precision).any()


def test_clusters_fit_what_clusters():
    centres = np.linspace(-1, 1, 15)
    values = np.random.default_rng(0).choice(centres, (8, 600)).astype(np.float32)
    values[:, 0] = 1.0  # every output reaches the largest centre
    indices, codebook, factors = clustered(values)
    np.testing.assert_allclose(codebook[indices] * factors, values, atol=1e-6)


def test_clusters_of_many_weights_fit_as_well_as_those_of_few(monkeypatch):
    values = np.random.default_rng(0).normal(size=(512, 64)).astype(np.float32)
    values[values < -2] = 0.0

    def squared_error(zero: bool) -> float:
        indices, codebook, factors = clustered(values, zero=zero)
        assert not zero or ((indices == 0) == (values == 0)).all()
        return float(np.square(codebook[indices] * factors - values).sum())

    exact = squared_error(zero=False), squared_error(zero=True)
    monkeypatch.setattr("compression.weight_codebook._MANY", 16384)
    assert (squared_error(zero=False), squared_error(zero=True)) == pytest.approx(
        exact, rel=0.01
    )


# --- where values belong --------------------------------------------------------------------------


def unpacked(codes: np.ndarray, form: IndexForm, units: int) -> np.ndarray:
    """What a reader makes of the bytes, written independently."""
    if form is IndexForm.BITS:
        return np.unpackbits(codes)[:units].astype(bool)
    if form is IndexForm.NIBBLES:
        codes = np.stack([codes >> 4, codes & 15], axis=1).reshape(-1)
    kept, at = np.zeros(units, bool), -1
    for code in codes.tolist():
        at += min(code + 1, skip_code(form))
        if code < skip_code(form):
            kept[at] = True
    return kept


@pytest.mark.parametrize("form", IndexForm)
@pytest.mark.parametrize("density", [0.0, 0.003, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("units", [1, 17, 3000])
def test_index_can_be_read_back(form, density, units):
    kept = np.random.default_rng(1).random(units) < density
    packed = packed_index(kept, form)
    assert len(packed) == max(1, index_bytes(kept, form))
    np.testing.assert_array_equal(unpacked(packed, form, units), kept)


@pytest.mark.parametrize("form", IndexForm)
@pytest.mark.parametrize("density", [0.02, 0.1, 0.4])
def test_expected_index_is_near_the_real_one(form, density):
    kept = np.random.default_rng(2).random(40_000) < density
    expected = expected_index_bytes(len(kept), int(kept.sum()), form)
    assert index_bytes(kept, form) == pytest.approx(expected, rel=0.05)


def test_smallest_index_depends_on_density():
    def best(density: float) -> IndexForm:
        kept = np.random.default_rng(3).random(40_000) < density
        return min(IndexForm, key=lambda form: index_bytes(kept, form))

    assert best(0.01) is IndexForm.BYTES
    assert best(0.1) is IndexForm.NIBBLES
    assert best(0.4) is IndexForm.BITS


def test_no_kept_unit_leaves_one_code_to_read():
    assert gap_codes(np.zeros(9, bool), 15).tolist() == [15]


# --- sizes ----------------------------------------------------------------------------------------


def test_zeros_in_whole_windows_are_left_out_by_window():
    values = weights(64, 64, 3, 3)
    values[np.random.default_rng(4).random((64, 64)) < 0.5] = 0
    assert stored(values, Precision.INT8_WEIGHTS).unit == 9
    scattered = weights(64, 64, 3, 3, density=0.5)
    assert stored(scattered, Precision.INT8_WEIGHTS).unit == 1


def test_few_zeros_do_not_make_a_tensor_sparse():
    for precision in Precision:
        assert not stored(weights(64, 96, density=0.98), precision).is_sparse


def conv(density: float = 1.0) -> OpSpec:
    params = 64 * 64 * 9 + 64
    shape = (64, 8, 8)
    return OpSpec(
        op="conv",
        in_shape=shape,
        out_shape=shape,
        kernel=(3, 3),
        stride=(1, 1),
        padding=(1, 1),
        macs=64 * 64 * 9 * 64,
        params=params,
        density=density,
    )


def test_stored_bytes_of_a_dense_layer():
    weighted, vector = 64 * 64 * 9, 2 * 64 + HALVED_OVERHEAD_BYTES
    assert stored_bytes(conv(), Precision.FP32) == 4 * weighted + 4 * 64
    assert stored_bytes(conv(), Precision.FP16_WEIGHTS) == 2 * weighted + vector
    assert stored_bytes(conv(), Precision.INT8_WEIGHTS) == weighted + 2 * vector
    assert stored_bytes(conv(), Precision.CODEBOOK) == weighted // 2 + 64 + 2 * vector
    assert stored_bytes(conv(), Precision.INT8) == weighted + 3 * 4 * 64


def test_factors_and_biases_take_16_bits_where_that_loses_nothing():
    values = weights(64, 96)
    for precision in (Precision.CODEBOOK, Precision.INT8_WEIGHTS):
        assert stored(values, precision).scales.dtype == np.float16
        assert stored(1e-4 * values, precision).scales.dtype == np.float32 or (
            precision is Precision.CODEBOOK
        )
    assert stored(values, Precision.INT8).scales.dtype == np.float32
    bias = np.linspace(-3, 3, 64, dtype=np.float32)
    for precision in Precision:
        short = few_bytes(bias, precision)
        whole = precision in (Precision.FP32, Precision.INT8)
        assert short.dtype == (np.float32 if whole else np.float16)
        np.testing.assert_allclose(short, bias, rtol=2**-11)
        assert few_bytes(bias[:8], precision).dtype == np.float32
    assert few_bytes(np.append(bias, np.float32(1e6)), Precision.CODEBOOK).dtype == np.float32
    assert few_bytes(1e-7 * bias, Precision.CODEBOOK).dtype == np.float32


@pytest.mark.parametrize("precision", Precision)
def test_stored_bytes_fall_with_density(precision):
    sizes = [stored_bytes(conv(d), precision) for d in (1.0, 0.5, 0.2, 0.05, 0.01)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 8


def test_operations_without_stored_weights_take_what_they_hold():
    pool = OpSpec(op="max_pool", in_shape=(4, 8, 8), out_shape=(4, 4, 4))
    norm = OpSpec(op="layer_norm", in_shape=(4, 8), out_shape=(4, 8), params=16)
    for precision in Precision:
        assert stored_bytes(pool, precision) == 0
        assert stored_bytes(norm, precision) == 64
