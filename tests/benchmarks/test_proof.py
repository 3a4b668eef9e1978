import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from benchmarks import proof, proof_picture, referee
from benchmarks import task as task_module
from benchmarks.demands import demands
from benchmarks.peers import __main__ as peers
from benchmarks.peers.arena import Offer
from benchmarks.photos import efficientnet_lite0
from benchmarks.task import PARTS, get, missing, names
from benchmarks.tasks import photos, sound

KEPT = sorted(referee.RESULTS.glob("*/*.onnx"))
LARGE = ("alexnet", "alexnet_28mb", "resnet20")
"""Tasks whose 10,000 test images take minutes."""

ROUNDS = 30
SITTINGS = 3  # other tests run beside these
LATER = ("alexnet_28mb", "photos", "resnet56", "vgg16")


def row(name, points, latency, zipped, group="demand"):
    figures = {"drop_points": points, "latency": latency, "zip": zipped, "file": zipped}
    return {"name": name, "group": group, **figures}


@pytest.mark.parametrize("name", names())
def test_task_says_how_its_network_was_trained(name):
    task = get(name)
    assert task.origin
    assert task.training or "published" in task.origin
    assert "everything" in demands(task)


@pytest.mark.parametrize("name", ["digits", "motion"])
def test_built_in_tasks_need_nothing_from_outside(name):
    task = get(name)
    assert missing(task) == ""
    arrays = task.arrays()
    assert {f"{kind}_{part}" for kind in "xy" for part in PARTS} <= arrays.keys()
    assert arrays["x_test"].shape[1:] == task.shape


@pytest.mark.parametrize("name", LATER)
def test_task_without_its_network_says_what_to_do(name):
    task = get(name)
    if not task.base.is_file():
        assert missing(task).endswith(".")


def test_volume_of_one_model_is_a_box():
    assert referee.hypervolume([row("a", 1.0, 2.0, 4.0)]) == pytest.approx(4 * 1 * 2)


def test_volume_counts_what_two_models_share_once():
    both = [row("a", 1.0, 2.0, 4.0), row("b", 0.0, 2.0, 2.0)]
    assert referee.hypervolume(both) == pytest.approx(4 * 1 * 2 + 1 * 1 * 1)


def test_slower_model_adds_no_volume_and_gained_points_count_as_none():
    assert referee.hypervolume([row("slow", 0.0, 0.5, 40.0)]) == 0
    assert referee.hypervolume([row("a", -3.0, 2.0, 2.0)]) == pytest.approx(5)


def test_rows_that_another_beats_are_not_named():
    rows = [
        row("good", 0.1, 2.0, 4.0),
        row("beaten", 0.2, 1.9, 4.0),
        row("small", 0.3, 1.0, 9.0),
    ]
    assert referee.pareto(rows) == {"good", "small"}


def test_names_in_the_picture_cover_neither_marks_nor_each_other():
    crowd = [(1.0 + 0.02 * i, 4.0 + 0.1 * i) for i in range(6)]
    rows = [row(f"even-some-long-name-{i}", 0.1, *at) for i, at in enumerate(crowd)]
    figure, axes = plt.subplots(figsize=(7.2, 4.6))
    axes.scatter([each["latency"] for each in rows], [each["zip"] for each in rows], label="x")
    axes.set(xlim=(0.2, 3), ylim=(1, 8))
    axes.legend()
    boxes = proof_picture.name(axes, rows, rows)
    plt.close(figure)
    assert len(boxes) == len(rows)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_rows_made_elsewhere_stay_but_not_their_times_among_new_ones(monkeypatch, tmp_path):
    monkeypatch.setattr(referee, "WORK", tmp_path / "work")
    monkeypatch.setattr(referee, "RESULTS", tmp_path)
    (tmp_path / "work" / "digits" / "files").mkdir(parents=True)
    old = {"name": "old-0", "group": "peer", "file": 2.0, "latency": 3.0, "rounds": 40}
    table = {"machine": {"processor": "p", "features": []}, "rows": [old]}
    (tmp_path / "digits.json").write_text(json.dumps(table))
    assert referee.measure("digits", 0)["rows"] == [old]
    assert referee.measure("digits", 30)["rows"] == [
        {"name": "old-0", "group": "peer", "file": 2.0}
    ]


def test_task_without_times_still_names_its_smallest():
    rows = [{"name": "a-0", "group": "demand", "drop_points": 0.1, "file": 3.0, "zip": 4.0}]
    found = {"title": "t", "base": {"accuracy": 0.9, "n": 10, "bytes": 5}, "machine": None}
    table = proof._verdict(rows)
    assert "| ours, all demands | – | 3.00x (a-0) | 4.00x (a-0) | – |" in table
    assert "svg" not in proof.section("digits", found | {"rows": []})


def test_page_keeps_what_stands_around_the_markers():
    old = f"before\n{proof.BEGIN}\nold\n{proof.END}\nafter"
    assert proof.page(old, "new") == f"before\n{proof.BEGIN}\nnew\n{proof.END}\nafter"


def test_tool_that_failed_stands_in_its_table():
    failed = {
        "name": "peer-x-0",
        "group": "peer",
        "tool": "X",
        "text": "way",
        "error": "no | wheel",
    }
    machine = {"processor": "p", "features": []}
    base = {"accuracy": 0.9, "n": 10, "bytes": 5}
    text = proof.section(
        "digits",
        {
            "title": "t",
            "base": base,
            "machine": machine,
            "rows": [failed | {"build": {"cpu_s": 1.0}}],
        },
    )
    assert "**failed**: no / wheel" in text


def test_results_page_shows_the_stored_tables():
    if not list(referee.RESULTS.glob("*.json")):
        pytest.skip("nothing was measured yet")
    text = proof.PAGE.read_text("utf-8")
    for path in referee.RESULTS.glob("*.json"):
        found = json.loads(path.read_text("utf-8"))
        assert proof.section(path.stem, found) in text, path.name


def kept(path):
    marks = [pytest.mark.slow] if path.parent.name in LARGE else []
    return pytest.param(path, id=f"{path.parent.name}-{path.stem}", marks=marks)


def multiplies_like(features):
    """Whether sums of 8-bit products are exact on both processors, or on neither."""
    exact = {"avx512_vnni", "avx_vnni", "asimddp", "i8mm"}
    return bool(exact & set(features)) == bool(exact & set(referee.machine()["features"]))


@pytest.mark.parametrize("model", [kept(path) for path in KEPT])
def test_table_tells_the_truth(model):
    task = model.parent.name
    if lacks := missing(get(task)):
        pytest.skip(lacks)
    table = json.loads((referee.RESULTS / f"{task}.json").read_text("utf-8"))
    (told,) = [each for each in table["rows"] if each["name"] == model.stem]
    judge, data = referee.Referee(task), model.read_bytes()
    lies = referee.lies(told, judge.judged(data), None)
    if b"QuantizeLinear" in data and not multiplies_like(table["machine"]["features"]):
        # Where sums of 8-bit products are cut off, such a file answers otherwise than where it was made.
        lies = [lie for lie in lies if "bytes" in lie]
    assert lies == []
    if "latency" in told and referee.machine()["features"] == table["machine"]["features"]:
        sittings = (judge.timed({"kept": data}, ROUNDS)["kept"] for _ in range(SITTINGS))
        assert any(referee.lies(told, told, timed) == [] for timed in sittings)


def test_table_that_lies_is_caught():
    judge = referee.Referee("digits")
    found = judge.judged(judge.base) | {"latency": 1.0}
    assert referee.lies(found, found, found) == []
    assert "bytes" in referee.lies(found | {"bytes": 1}, found, None)[0]
    assert "accuracy" in referee.lies(found | {"accuracy": 0.999}, found, None)[0]
    assert "as fast" in referee.lies(found | {"latency": 1.5}, found, found)[0]


def test_kept_models_are_small():
    assert sum(Path(path).stat().st_size for path in KEPT) < 2_500_000


def test_sound_is_a_picture_of_bands_and_frames():
    tone = (np.sin(np.arange(8000) * 2 * np.pi * 1000 / 8000) * 20000).astype(np.int16)
    picture = sound.log_mel(tone)
    assert picture.shape == (1, sound.BANDS, sound.FRAMES)
    assert picture[0, :, 10].argmax() == pytest.approx(14, abs=2)


def test_tool_that_raises_is_a_row_with_what_it_said(tmp_path):
    def fail():
        raise ValueError("no such operator\nand a long trace")

    found = peers.row("X", "no-such-package", Offer("way", fail), tmp_path / "peer-x-0.json")
    assert found["error"] == "ValueError: no such operator"
    assert found["version"] == "not installed"
    assert not list(tmp_path.iterdir())


def test_peer_that_cannot_be_imported_is_not_dropped(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "no_such_tool", "no-such-package")
    tool, offers = peers.offered(None, "no_such_tool")
    assert tool == "no_such_tool"
    with pytest.raises(ImportError):
        offers["no-such-tool"].make()


def test_technique_alone_locks_out_all_others():
    locks = demands(get("digits"))["alone-svd"].locks(["fc1"], ["svd", "int8"])
    assert locks == {"fc1": {"exclude": ["int8"]}, "*": {"exclude": ["int8"]}}


def test_limits_are_shares_of_the_original():
    wanted = demands(get("digits"))["everything"]
    limits = {
        "max_accuracy_drop": 1.0,
        "max_latency_ms": 2.8 / 1.4,
        "max_size_bytes": 1000 // 35,
    }
    assert wanted.budgets(2.8, 1000) == limits


def test_combination_is_told_layer_by_layer():
    steps = [
        {"layer": "fc1", "technique": "filter_pruning", "params": {"pruning_ratio": 0.5}},
        {"layer": "fc1", "technique": "svd", "params": {"rank_ratio": "n/12"}},
        {"layer": "*", "technique": "int8", "params": {}},
    ]
    assert proof.recipe_words(steps) == (
        "fc1: Filter pruning 0.5 + Low-rank (SVD) n/12; *: 8-bit integers"
    )


def test_photographs_go_through_the_large_network_without_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(task_module, "WORK", tmp_path)
    x = np.random.default_rng(0).integers(0, 256, (1000, 3, 8, 8), np.uint8)
    monkeypatch.setattr(photos, "PHOTOGRAPHS", tmp_path / "photos.npz")
    np.savez(photos.PHOTOGRAPHS, x=x)
    with np.load(task_module.upload("photos")) as given:
        assert {key: len(given[key]) for key in given.files} == {
            "x_train": 400,
            "x_val": 300,
            "x_test": 300,
        }
    rows = photos.photographs()["y_test"]
    assert np.array_equal(photos.photographs()["x_test"], x[rows])
    answers = efficientnet_lite0().eval()(torch.zeros(1, 3, 224, 224))
    assert answers.shape == (1, 1000)
