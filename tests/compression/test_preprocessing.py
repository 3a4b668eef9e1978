import numpy as np
import pytest

from compression.data import load_data
from compression.errors import DataRefusedError
from compression.preprocessing import Preprocessing, fitting_layouts
from compression.preprocessing_guess import guess_preprocessing
from tests.compression import uploads

IMAGE = Preprocessing(
    layout="NHWC", divide=255.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


def test_images_become_what_torchvision_makes_of_them():
    x = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    ready = IMAGE.apply(x, (3, 5, 6))
    wanted = (x / 255 - np.array(IMAGE.mean)) / np.array(IMAGE.std)
    assert ready == pytest.approx(np.moveaxis(wanted, -1, 1), abs=1e-5)
    assert ready.flags["C_CONTIGUOUS"]


def test_default_leaves_arrays_as_they_are():
    x = np.random.default_rng(0).standard_normal((4, 6, 20)).astype(np.float32)
    assert np.array_equal(Preprocessing().apply(x, (6, 20)), x)


def test_saved_preprocessing_is_read_back():
    assert Preprocessing.from_json(IMAGE.to_json()) == IMAGE
    assert Preprocessing.from_json({"mean": 0.5}).mean == (0.5,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale": 2}, "no setting 'scale'"),
        ({"layout": "HWC"}, "layout 'HWC' is not known"),
        ({"divide": 0}, "divide must be a number other than 0"),
        ({"std": [1, 0, 1]}, "std must be a number other than 0"),
        ({"mean": "low"}, "mean must be a number"),
        ({"mean": float("nan")}, "mean must be a number"),
        ([], "must be an object"),
    ],
)
def test_useless_preprocessing_is_refused_by_name(values, message):
    with pytest.raises(DataRefusedError, match=message):
        Preprocessing.from_json(values)


@pytest.mark.parametrize(
    ("shape", "input_shape", "layouts"),
    [
        ((3, 32, 32), (3, 32, 32), ("NCHW",)),
        ((32, 32, 3), (3, 32, 32), ("NHWC",)),
        ((28, 28), (1, 28, 28), ("NHW",)),
        ((784,), (1, 28, 28), ("N*",)),
        ((28, 28), (784,), ("N*",)),
        ((6, 128), (6, 128), ("NCT",)),
        ((128, 6), (6, 128), ("NTC",)),
        ((128,), (1, 128), ("NT",)),
        ((3, 3, 3), (3, 3, 3), ("NCHW", "NHWC")),
        ((32, 3, 32), (3, 32, 32), ()),
        ((28, 28), (1, 32, 32), ()),
    ],
)
def test_layouts_are_told_from_shapes(shape, input_shape, layouts):
    assert fitting_layouts(shape, input_shape) == layouts


def test_bytes_are_tried_scaled_first_and_known_statistics_are_among_the_guesses():
    guesses = guess_preprocessing(uploads.X, ("NHW",), (1, 8, 8))
    assert guesses[0] == Preprocessing(layout="NHW", divide=255.0)
    assert Preprocessing(layout="NHW", divide=255.0, mean=(0.1307,), std=(0.3081,)) in guesses
    assert Preprocessing(layout="NHW") in guesses


def test_standardised_series_are_tried_as_they_are_first():
    x = np.random.default_rng(0).standard_normal((50, 6, 16)).astype(np.float32)
    guesses = guess_preprocessing(x, ("NCT",), (6, 16))
    assert guesses[0] == Preprocessing(layout="NCT")
    assert len(guesses[1].mean) == 6


def test_given_preprocessing_is_the_only_candidate_and_finds_its_layout(tmp_path):
    path = uploads.write(tmp_path / "plain.npz")
    given = Preprocessing(divide=255.0, mean=(0.5,), std=(0.25,))
    data = load_data(path, (1, 8, 8), 4, given, seed=0)
    assert [c.layout for c in data.candidates] == ["NHW"]
    assert data.preprocessing.mean == (0.5,)


def test_given_layout_of_images_without_channel_axis_is_understood(tmp_path):
    path = uploads.write(tmp_path / "plain.npz")
    data = load_data(path, (1, 8, 8), 4, Preprocessing(layout="NCHW", divide=255.0), seed=0)
    assert data.test.x.shape == (8, 1, 8, 8)


def test_given_layout_that_does_not_fit_is_refused(tmp_path):
    path = uploads.write(tmp_path / "wrong_shape.npz")
    with pytest.raises(DataRefusedError, match="32 × 32 × 3 in layout NCHW"):
        load_data(path, (3, 32, 32), 4, Preprocessing(layout="NCHW"), seed=0)


def test_mean_with_a_wrong_number_of_channels_is_refused(tmp_path):
    path = uploads.write(tmp_path / "plain.npz")
    with pytest.raises(
        DataRefusedError, match="mean has 3 values, but the model's input has 1"
    ):
        load_data(path, (1, 8, 8), 4, Preprocessing(mean=(0, 0, 0)), seed=0)


def test_another_preprocessing_keeps_the_examples(tmp_path):
    data = load_data(uploads.write(tmp_path / "plain.npz"), (1, 8, 8), 4, seed=0)
    other = data.with_preprocessing(Preprocessing(layout="NHW"))
    assert np.array_equal(other.search.indices, data.search.indices)
    assert other.search.x == pytest.approx(data.search.x * 255)
