import base64

import numpy as np

from compression.data import Split
from compression.pictures import picture, pictures, pixels
from compression.preprocessing import Preprocessing


def test_image_becomes_bytes_over_its_own_range():
    found = picture(np.array([[[-1.0, 0.0], [1.0, 3.0]]]))
    assert found["shape"] == [1, 2, 2]
    assert list(base64.b64decode(found["data"])) == [0, 64, 128, 255]


def test_large_examples_are_thinned_and_flat_ones_are_black():
    found = picture(np.ones((3, 224, 224), np.float32))
    assert found["shape"] == [3, 45, 45]
    assert set(base64.b64decode(found["data"])) == {0}
    assert picture(np.zeros((6, 1000)))["shape"] == [6, 125]


def test_pixels_of_a_small_picture_are_means_in_the_examples_proportions():
    spectrogram = np.zeros((1, 40, 101))
    spectrogram[0, :3, :2] = 1.0
    found = picture(spectrogram)
    assert found["shape"] == [1, 14, 34]
    assert pixels(found)[0, 0, 0] == 255
    assert pixels(found)[0, 1:].max() == 0


def test_examples_are_drawn_in_the_colours_of_the_data_not_as_the_network_reads_them():
    raw = np.zeros((5, 2, 2, 3), np.uint8)
    raw[3, 0, 0] = 255, 51, 0
    scaled = Preprocessing(
        layout="NHWC", divide=255.0, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.1)
    )
    rows = np.arange(2, 5)
    split = Split(raw=raw, indices=rows, y=None, input_shape=(3, 2, 2), preprocessing=scaled)
    (found,) = pictures(split, [3])
    assert pixels(found)[:, 0, 0].tolist() == [255, 51, 0]
    assert pictures(split, []) == []


def test_rows_of_a_table_have_no_picture():
    assert picture(np.zeros(8)) is None
