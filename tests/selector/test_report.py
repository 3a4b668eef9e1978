import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from compression.comparison import compare
from compression.cost import load_device
from compression.evaluation import Evaluation, wilson_interval
from compression.latency import Timing
from compression.outputs import output_form
from compression.types import RecipeStep
from selector.errors import SelectorError
from selector.report import (
    SCHEMAS,
    BuildFacts,
    Predicted,
    build_report,
    check_limits,
    check_report,
)
from selector.request import Request
from selector.types import Budgets, Estimate
from tests.selector.test_request import FULL, parse

N = 200
TRUTH = np.arange(N) % 4


class Rows:
    """As much of a split as a comparison needs."""

    indices = np.arange(N) + 1000


def evaluation(n_wrong, *, size_bytes):
    answers = TRUTH.copy()
    answers[:n_wrong] = (answers[:n_wrong] + 1) % 4
    correct = N - n_wrong
    return Evaluation(
        accuracy=correct / N,
        accuracy_ci=wilson_interval(correct, N),
        kind="accuracy",
        form=output_form((1,), (4,)),
        n_test=N,
        size_bytes=size_bytes,
        zip_bytes=size_bytes - 100,
        macs=10 * size_bytes,
        params=size_bytes // 4,
        answers=answers,
        confidences=np.linspace(0.5, 0.99, N, dtype=np.float32),
        wanted=TRUTH,
    )


def timing(ms, ratio):
    return Timing(
        rounds_ms=np.full(40, ms),
        ratio=ratio,
        ratio_ci=(ratio - 0.1, ratio + 0.1),
        undisturbed_ms=ms,
    )


def estimate(value, label="similar chip"):
    return Estimate(value=value, low=value / 1.7, high=value * 1.7, label=label)


def facts(budgets=None, target="redmi-3s", **changes):
    before, after = evaluation(4, size_bytes=40_000), evaluation(10, size_bytes=2_000)
    request = Request(
        model=Path("lenet.onnx"),
        data=Path("mnist.npz"),
        target=target,
        budgets=budgets or Budgets(),
    )
    values = {
        "request": request,
        "target": load_device(target),
        "model_sha256": "a" * 64,
        "data_sha256": "b" * 64,
        "baseline": before,
        "result": after,
        "comparison": compare(before, after, Rows()),
        "baseline_timing": timing(0.05, 1.0),
        "result_timing": timing(0.04, 1.25),
        "predicted": Predicted(
            baseline_latency_ms=1.0,
            latency_ms=estimate(0.2),
            baseline_energy_mj=1.2,
            energy_mj=estimate(0.24),
        ),
        "recipe": (
            RecipeStep(
                layer="conv2",
                technique="filter_pruning",
                params={"pruning_ratio": 0.5},
                why="saves 0.3 ms",
            ),
        ),
        "artifacts": (
            {
                "path": "model.onnx",
                "format": "onnx",
                "size_bytes": 2000,
                "sha256": "c" * 64,
                "verified": True,
                "primary": True,
            },
        ),
        "stages": ({"stage": "INSPECT", "seconds": 1.2},),
        "search": {
            "selector": "dqn",
            "candidates_scored": 9000,
            "candidates_built": 8,
            "gap_to_best_found": 0.001,
        },
        "class_names": ("ant", "bee", "cat", "dog"),
        "preprocessing": {"layout": "NHW", "divide": 255.0, "mean": [0.0], "std": [1.0]},
    }
    return BuildFacts(**(values | changes))


def test_report_holds_what_the_contract_names():
    report = build_report(facts())
    assert report["status"] == "met"
    assert report["accuracy_drop_points"] == pytest.approx(3.0)
    assert report["baseline"]["accuracy"] == 0.98
    assert report["result"]["host_latency_ms"]["p50"] == 0.04
    assert report["ratios"]["size"] == 20.0
    assert report["ratios"]["host_latency"] == 1.25
    assert report["ratios"]["target_latency"] == 5.0
    assert report["predicted"]["latency_ms"]["label"] == "similar chip"
    assert report["recipe"][0]["params"] == {"pruning_ratio": 0.5}
    assert {"adadeep", "python", "onnxruntime", "torch"} <= set(report["versions"])
    json.dumps(report)


def test_gap_of_a_recipe_that_nobody_judged_is_left_open():
    search = {**facts().search, "gap_to_best_found": None}
    assert build_report(facts(search=search))["search"]["gap_to_best_found"] is None


def test_classes_and_flips_carry_their_names():
    report = build_report(facts())
    assert [row["name"] for row in report["per_class"]] == ["ant", "bee", "cat", "dog"]
    assert (report["flipped"]["lost"], report["flipped"]["gained"]) == (6, 0)
    flip = report["flipped"]["examples"][0]
    assert flip["index"] == 1009
    assert (flip["truth"], flip["after"], flip["fixed"]) == ("bee", "cat", False)


def test_missed_limit_makes_the_build_missed_and_says_by_how_much():
    report = build_report(facts(Budgets(max_accuracy_drop=1.0, max_size_bytes=3000)))
    assert report["status"] == "missed"
    assert [(row["name"], row["met"]) for row in report["limits"]] == [
        ("max_accuracy_drop", False),
        ("max_size_bytes", True),
    ]


def test_limit_inside_the_band_of_a_prediction_is_met_but_not_sure():
    (row,) = check_limits(facts(Budgets(max_latency_ms=0.25)))
    assert (row["met"], row["sure"]) == (True, False)
    (row,) = check_limits(facts(Budgets(max_latency_ms=0.5)))
    assert (row["met"], row["sure"]) == (True, True)


def test_a_machine_that_slowed_down_since_the_limit_was_set_does_not_count():
    limits = Budgets(max_latency_ms=0.039)
    slowed = facts(limits, "this-host", clock_ms=0.045)
    row = check_limits(slowed)[0]
    assert row["met"]
    assert row["value"] == pytest.approx(0.045 / 1.25)
    assert not row["sure"]
    assert any("speed of the study" in note for note in build_report(slowed)["notes"])
    steady = facts(limits, "this-host", clock_ms=0.05)
    assert not check_limits(steady)[0]["met"]
    assert not any("speed of the study" in note for note in build_report(steady)["notes"])


def test_on_this_host_the_limit_holds_for_the_measured_latency():
    (row,) = check_limits(facts(Budgets(max_latency_ms=0.03), target="this-host"))
    assert (row["value"], row["met"]) == (0.04, False)
    report = build_report(facts(target="this-host"))
    assert report["ratios"]["target_latency"] == report["ratios"]["host_latency"]


def test_a_miss_that_was_foreseen_is_infeasible():
    out_of_reach = Budgets(max_accuracy_drop=1.0, max_size_bytes=3000)
    assert build_report(facts(out_of_reach, status="infeasible"))["status"] == "infeasible"


def test_what_was_thought_impossible_and_reached_is_met():
    assert build_report(facts(status="infeasible"))["status"] == "met"


def test_report_that_breaks_its_schema_is_never_written():
    with pytest.raises(SelectorError, match=r"malformed at artifacts.0"):
        build_report(facts(artifacts=({"path": "model.onnx"},)))
    report = build_report(facts())
    with pytest.raises(SelectorError, match="malformed at status"):
        check_report(report | {"status": "fine"})


def test_schemas_are_schemas():
    for path in SCHEMAS.glob("*.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_request_schema_accepts_what_the_engine_accepts():
    schema = json.loads((SCHEMAS / "request.schema.json").read_text())
    for request in (FULL, {"model": "m.onnx"}, parse(locks={"a": "keep"}).to_json()):
        jsonschema.validate(request, schema)
    for bad in ({}, FULL | {"modle": 1}, FULL | {"seed": -1}, FULL | {"locks": {"a": "drop"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


def test_numbers_are_not_more_precise_than_they_are():
    odd = replace(facts().predicted, baseline_latency_ms=1 / 3)
    assert build_report(facts(predicted=odd))["predicted"]["latency_ms"]["baseline"] == 0.333333
