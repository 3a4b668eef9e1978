import contextlib
import itertools
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compression import archives
from compression.data import load_data, synthetic_data
from compression.errors import DataRefusedError
from tests.compression import uploads

ROWS = tomllib.loads((Path(__file__).parents[1] / "data" / "uploads.toml").read_text())
SHAPE, CLASSES = (1, uploads.SIDE, uploads.SIDE), uploads.CLASSES
PURPOSES = ("calibration", "search", "training", "test")


def load(path, preprocessing=None, *, shape=SHAPE, seed=0):
    return load_data(path, shape, CLASSES, preprocessing, seed=seed)


@pytest.mark.parametrize("row", ROWS["refused"], ids=lambda row: row["file"])
def test_bad_upload_is_refused_with_its_sentence(row, tmp_path):
    with pytest.raises(DataRefusedError) as error:
        load(uploads.write(tmp_path / row["file"]))
    assert str(error.value) == row["message"]


@pytest.mark.parametrize("row", ROWS["accepted"], ids=lambda row: row["file"])
def test_good_upload_becomes_four_splits(row, tmp_path):
    data = load(uploads.write(tmp_path / row["file"]))
    splits = [getattr(data, name) for name in PURPOSES]
    assert [len(split) for split in splits] == row["examples"]
    assert data.preprocessing.layout == row["layout"]
    assert data.labelled
    for split in splits:
        assert split.x.shape == (len(split), *SHAPE)
        assert split.x.dtype == np.float32
        assert 0 <= split.x.min() <= split.x.max() <= 1


def test_every_row_of_uploads_has_a_maker_and_none_is_forgotten():
    assert {row["file"] for rows in ROWS.values() for row in rows} == set(uploads.MAKERS)


def test_splits_of_plain_data_share_nothing_and_lose_nothing(tmp_path):
    data = load(uploads.write(tmp_path / "plain.npz"))
    rows = np.concatenate([getattr(data, name).indices for name in PURPOSES])
    assert sorted(rows.tolist()) == list(range(uploads.N))


def test_splits_keep_the_shares_of_the_classes(tmp_path):
    y = np.repeat([0, 1, 2, 3], [600, 200, 150, 50])
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((1000, 8, 8), np.uint8), y=y)
    data = load(path)
    assert [len(getattr(data, name)) for name in PURPOSES] == [50, 150, 600, 200]
    for name in PURPOSES:
        split = getattr(data, name)
        wanted = np.array([0.6, 0.2, 0.15, 0.05]) * len(split)
        assert np.abs(np.bincount(split.y, minlength=4) - wanted).max() <= 1


def test_same_seed_same_splits_other_seed_others(tmp_path):
    path = uploads.write(tmp_path / "plain.npz")
    assert np.array_equal(load(path).test.indices, load(path).test.indices)
    assert not np.array_equal(load(path).test.indices, load(path, seed=1).test.indices)


def test_a_group_is_never_in_two_splits(tmp_path):
    group = np.repeat(np.arange(10), 100)
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((1000, 8, 8), np.uint8), y=np.arange(1000) % 4, group=group)
    data = load(path)
    members = [set(group[getattr(data, name).indices]) for name in PURPOSES]
    assert sorted(itertools.chain(*members)) == list(range(10))
    assert min(map(len, members)) == 1
    assert len(members[2]) >= 5


def test_validation_of_one_subject_is_not_split(tmp_path):
    x, y = uploads.X, uploads.Y
    groups = {"group_train": np.arange(40) % 5, "group_val": np.full(40, 9)}
    path = tmp_path / "data.npz"
    np.savez(path, x_train=x, y_train=y, x_val=x, y_val=y, x_test=x, y_test=y, **groups)
    data = load(path)
    assert len(data.search) == 40
    calibration = set(groups["group_train"][data.calibration.indices])
    training = set(groups["group_train"][data.training.indices])
    assert not calibration & training


def test_given_split_that_shares_subjects_is_kept_with_a_warning(tmp_path):
    x, y, path = uploads.X, uploads.Y, tmp_path / "data.npz"
    groups = {"group_train": np.arange(40) % 5, "group_test": np.full(40, 3)}
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y, **groups)
    assert load(path).notes == (
        "The given training and test data share groups (3): accuracy may look too good.",
    )


def test_large_training_data_gives_no_more_than_is_useful_to_search(tmp_path):
    x, path = np.zeros((40_000, 2, 2), np.uint8), tmp_path / "data.npz"
    np.savez(
        path,
        x_train=x,
        y_train=np.arange(40_000) % 4,
        x_test=x[:100],
        y_test=np.arange(100) % 4,
    )
    data = load(path, shape=(1, 2, 2))
    assert [len(getattr(data, name)) for name in PURPOSES] == [512, 5000, 34_488, 100]


def test_raw_bytes_stay_bytes_and_are_not_copied(tmp_path):
    data = load(uploads.write(tmp_path / "plain.npz"))
    assert data.training.raw.dtype == np.uint8
    assert data.training.raw is data.test.raw


def test_batches_and_subsets_agree_with_the_whole(tmp_path):
    split = load(uploads.write(tmp_path / "plain.npz")).training
    batches = list(split.batches(7))
    assert np.array_equal(np.concatenate([x for x, _ in batches]), split.x)
    assert np.array_equal(np.concatenate([y for _, y in batches]), split.y)
    some = split.take(8, seed=5)
    assert np.bincount(some.y).tolist() == [2, 2, 2, 2]
    assert set(some.indices) < set(split.indices)
    assert np.array_equal(some.x, split.raw[some.indices][:, None].astype(np.float32) / 255)


def test_images_are_scaled_to_the_model_and_classes_named_by_folder(tmp_path):
    data = load(uploads.write(tmp_path / "images.zip"), shape=(3, 16, 12))
    assert data.class_names == uploads.NAMES
    assert data.test.x.shape == (8, 3, 16, 12)


def test_folders_that_are_numbers_are_those_classes(tmp_path):
    path = tmp_path / "data.zip"
    path.write_bytes(
        uploads.archive({f"{2 + i % 2}/{i}.png": uploads.png() for i in range(40)})
    )
    assert set(load(path).training.y) == {2, 3}


def test_content_decides_and_not_the_name(tmp_path):
    path = tmp_path / "images.npz"
    path.write_bytes(uploads.MAKERS["images.zip"]())
    assert load(path).class_names == uploads.NAMES


def test_entry_that_holds_more_than_declared_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataRefusedError, match="unpacks to far more than its size allows"):
        load(uploads.write(tmp_path / "images.zip"))


def test_unlabelled_data_is_accepted_and_said(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=uploads.X)
    data = load(path)
    assert not data.labelled
    assert data.test.y is None
    assert "agreement with the original" in data.notes[0]


def test_without_data_inputs_are_made_up_and_said():
    data = synthetic_data((3, 16, 16), 10, seed=1)
    assert data.synthetic
    assert data.test.x.shape[1:] == (3, 16, 16)
    assert data.test.x.std() == pytest.approx(1, abs=0.05)
    assert "random inputs" in data.notes[0]


def test_class_names_are_taken_when_they_name_every_output(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=uploads.X, y=uploads.Y, class_names=np.array(uploads.NAMES))
    assert load(path).class_names == uploads.NAMES


@pytest.mark.parametrize("name", ["plain.npz", "train_val_test.npz", "images.zip"])
def test_no_broken_byte_gets_past_the_refusals(name, tmp_path):
    whole, rng = uploads.MAKERS[name](), np.random.default_rng(5)
    path = tmp_path / name
    for _ in range(120):
        content = bytearray(whole)
        for _ in range(3):
            content[rng.integers(len(content))] = rng.integers(256)
            content[rng.integers(len(content) - 500, len(content))] = rng.integers(256)
        path.write_bytes(content)
        with contextlib.suppress(DataRefusedError):
            load(path)


def test_samples_are_prepared_only_where_they_are_asked_for(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(60) % 3)
    training = load_data(tmp_path / "data.npz", (3, 8, 8), 3, seed=0).training
    samples, whole = training.samples, training.x
    assert len(samples) == len(whole)
    np.testing.assert_array_equal(samples[np.array([5, 0, 5])], whole[[5, 0, 5]])
    np.testing.assert_array_equal(samples[2:7], whole[2:7])


def test_unlabelled_examples_are_prepared_alike_and_in_no_split(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "data.npz"
    x, y = rng.integers(0, 256, (100, 8, 8), dtype=np.uint8), np.arange(100) % 4
    more = rng.integers(0, 256, (37, 8, 8), dtype=np.uint8)
    np.savez(path, x=x, y=y, x_unlabelled=more)
    data = load(path)
    assert sum(len(getattr(data, name)) for name in PURPOSES) == 100
    assert data.unlabelled.y is None
    np.testing.assert_allclose(data.unlabelled.x[:, 0], more / 255, rtol=1e-6)
    halved = data.with_preprocessing(replace(data.preprocessing, divide=510.0))
    np.testing.assert_allclose(halved.unlabelled.x[:, 0], more / 510, rtol=1e-6)
    assert load(uploads.write(tmp_path / "plain.npz")).unlabelled is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (np.full((5, 8, 8), np.nan, np.float32), "'x_unlabelled' holds values that are not"),
        (np.zeros((5, 9, 9), np.uint8), "different shapes: 8 × 8 and 9 × 9"),
        (np.array(["a"]), "'x_unlabelled' holds"),
    ],
)
def test_unlabelled_examples_are_checked_like_others(tmp_path, more, words):
    path = tmp_path / "data.npz"
    x, y = np.zeros((100, 8, 8), np.uint8), np.arange(100) % 4
    np.savez(path, x=x, y=y, x_unlabelled=more)
    with pytest.raises(DataRefusedError, match=words):
        load(path)
