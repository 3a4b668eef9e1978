import numpy as np
import pytest

from compression.data import load_data
from compression.preprocessing import Preprocessing
from compression.preprocessing_trial import try_preprocessing

TRUE = Preprocessing(layout="NHW", divide=255.0, mean=(0.1307,), std=(0.3081,))
LEVELS = np.arange(10) * 25 + 10


def brightness_classifier(x):
    """Knows the ten levels of grey, if they come prepared in the one right way."""
    found = x.reshape(len(x), -1).mean(axis=1)
    known = (LEVELS / 255 - 0.1307) / 0.3081
    return (-40 * np.abs(found[:, None] - known)).astype(np.float32)


def write(path, *, labelled):
    rng = np.random.default_rng(0)
    y = np.arange(600) % 10
    x = (LEVELS[y][:, None, None] + rng.integers(-9, 10, (600, 6, 6))).astype(np.uint8)
    np.savez(path, **({"x": x, "y": y} if labelled else {"x": x}))
    return load_data(path, (1, 6, 6), 10, seed=0)


def test_preparation_under_which_the_model_works_is_found(tmp_path):
    data = write(tmp_path / "data.npz", labelled=True)
    trials = try_preprocessing(data, brightness_classifier)
    assert data.preprocessing != TRUE
    assert trials[0].preprocessing == TRUE
    assert trials[0].accuracy == pytest.approx(1.0)
    assert {trial.preprocessing for trial in trials} == set(data.candidates)


def test_only_examples_of_the_search_split_are_looked_at(tmp_path):
    data = write(tmp_path / "data.npz", labelled=True)
    seen = []

    def answer(x):
        seen.append(len(x))
        return brightness_classifier(x)

    try_preprocessing(data, answer, examples=50)
    assert seen == [50] * len(data.candidates)


def test_without_labels_the_likeliest_guess_stays(tmp_path):
    data = write(tmp_path / "data.npz", labelled=False)
    trials = try_preprocessing(data, brightness_classifier)
    assert [trial.preprocessing for trial in trials] == list(data.candidates)
    assert np.isnan(trials[0].accuracy)
