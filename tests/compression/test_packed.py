import io
import lzma
from dataclasses import replace

import numpy as np
import onnx
import pytest

from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.packed import MOST_BYTES, packed, packed_bytes, unpacked
from compression.types import Precision
from tests.networks import ZOO


@pytest.mark.parametrize("precision", [p for p in Precision if p is not Precision.INT8])
@pytest.mark.parametrize("name", ["lenet", "resnet", "mlp"])
def test_packed_model_comes_back_as_it_was_and_smaller(name, precision):
    model = export_onnx(replace(import_onnx(ZOO[name]()), precision=precision))
    small = packed(model)
    assert unpacked(small) == model
    assert len(small) == packed_bytes(model) < len(model)
    onnx.checker.check_model(onnx.load_from_string(unpacked(small)))


def test_any_reader_of_xz_unpacks_it():
    model = export_onnx(import_onnx(ZOO["small_lenet"]()))
    with lzma.open(io.BytesIO(packed(model))) as file:
        assert file.read() == model


def test_same_model_gives_the_same_bytes():
    model = ZOO["lenet"]()
    assert packed(model) == packed(model)


def test_larger_models_are_packed_by_what_a_sample_shows():
    floats = np.random.default_rng(0).standard_normal(400_000).astype(np.float32).tobytes()
    small = packed(floats)
    assert unpacked(small) == floats
    plain = lzma.compress(floats, preset=9)
    assert len(small) < 0.97 * len(plain)


def test_very_large_files_are_left_alone():
    assert packed_bytes(bytes(MOST_BYTES + 1)) is None


def test_damaged_file_is_refused_in_words():
    small = packed(ZOO["small_lenet"]())
    with pytest.raises(ValueError, match="damaged"):
        unpacked(small[:-20])
