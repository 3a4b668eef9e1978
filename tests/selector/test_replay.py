"""A finished run's recipe.json rebuilds its network bit for bit, before fine-tuning."""

import io
import json

import numpy as np
import pytest
import torch

from compression.types import RecipeStep
from selector import engine
from selector.__main__ import main
from selector.choosing import read_recipe
from selector.jobfolder import JobFolder
from selector.reporter import Reporter
from tests import networks

STACKED = [
    {"layer": "conv2", "technique": "filter_pruning", "params": {"pruning_ratio": 0.5}},
    {"layer": "fc1", "technique": "filter_pruning", "params": {"pruning_ratio": 0.25}},
    {"layer": "fc1", "technique": "svd", "params": {"rank_ratio": 0.25}},
    {"layer": "*", "technique": "int8", "params": {"mode": "weights"}},
]
REFUSED = RecipeStep(layer="relu", technique="svd", params={"rank_ratio": 0.5})


def quiet():
    return Reporter(stream=io.StringIO())


def built(folder, *more):
    """The network of the recipe that a finished job delivered, as it is before fine-tuning."""
    job = engine.job_of(JobFolder(folder), quiet())
    torch.set_num_threads(job.effort.threads)
    return job.workbench.build((*read_recipe(folder / "recipe.json"), *more))


def same_bits(one, other):
    first, second = (result.network.module.state_dict() for result in (one, other))
    return first.keys() == second.keys() and all(
        torch.equal(first[n], second[n]) for n in first
    )


@pytest.mark.slow
@pytest.mark.parametrize("data", [True, False])
def test_the_recipe_of_a_finished_run_rebuilds_the_same_bits(tmp_path, data):
    model, examples = tmp_path / "net.onnx", tmp_path / "data.npz" if data else None
    model.write_bytes(networks.small_lenet())
    x = np.random.default_rng(0).integers(0, 256, (300, 1, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=x)
    prepared = {"divide": 255, "mean": [0.3], "std": [0.2]} if data else None
    settings = {"seed": 11, "threads": 1, "time_limit_s": 61, "preprocessing": prepared}
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps({**settings, "recipe": STACKED}))
    first, again = tmp_path / "first", tmp_path / "again"
    engine.apply(model, asked, examples, first, quiet())
    delivered = json.loads((first / "recipe.json").read_text())
    assert {step["technique"] for step in delivered["recipe"]} == {
        "filter_pruning",
        "svd",
        "int8",
    }
    assert (delivered["seed"], delivered["threads"], delivered["time_limit_s"]) == (11, 1, 61)
    command = ["apply", str(model), str(first / "recipe.json")]
    found = ["--data", str(examples)] if data else []
    assert main([*command, *found, "--out", str(again)]) == 0
    reports = [json.loads((folder / "report.json").read_text()) for folder in (first, again)]
    for key in ("recipe", "preprocessing", "seed", "threads"):
        assert reports[0][key] == reports[1][key]
    one, other = built(first), built(again)
    assert one.network.precision == other.network.precision
    assert same_bits(one, other)
    refused = built(again, REFUSED)
    assert [step for step, why in refused.skipped if why] == [REFUSED]
    assert same_bits(one, refused)


@pytest.mark.slow
def test_apply_goes_on_without_what_cannot_be_done_and_says_so(tmp_path):
    model = tmp_path / "net.onnx"
    model.write_bytes(networks.small_lenet())
    held = {"layer": "fc1", "technique": "filter_pruning", "params": {"pruning_ratio": 0.4}}
    refused = [
        {"layer": "conv1", "technique": "depthwise_separable", "params": {}},
        {"layer": "nowhere", "technique": "svd", "params": {"rank_ratio": 0.5}},
        {"layer": "fc1", "technique": "magic", "params": {}},
        {"layer": "conv2", "technique": "svd", "params": {}},
    ]
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps({"threads": 1, "time_limit_s": 5, "recipe": [*refused, held]}))
    engine.apply(model, asked, None, tmp_path / "out", quiet())
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [(s["layer"], s["params"]) for s in report["recipe"]] == [("fc1", held["params"])]
    assert [s["layer"] for s in report["skipped"]] == [s["layer"] for s in refused]
    reasons = " ".join(s["reason"] for s in report["skipped"])
    for words in ("single channel", "no layer called", "magic", "rank_ratio is missing"):
        assert words in reasons
    assert any("none of those that the study priced" in note for note in report["notes"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Not applied" in page
    assert "rank_ratio is missing" in page
