import json
import math

import pytest

from webapp.jobs.charts import job_figures, tradeoff_data, tradeoff_figure
from webapp.jobs.curves import recovery_data, recovery_figure, reward_data, reward_figure
from webapp.jobs.result_charts import (
    classes_data,
    classes_figure,
    layers_data,
    layers_figure,
)
from webapp.jobs.sensitivity import probe_events, sensitivity_data, sensitivity_figure
from webapp.jobs.ticks import linear_ticks, log_range, log_ticks, two_digits

BASELINE = {"accuracy": 0.99, "latency_ms": 28.0, "energy_mj": 90.0, "size_bytes": 60e6}


def candidate(number, drop, latency, size=2e6):
    return {
        "id": number,
        "drop_points": drop,
        "latency_ms": latency,
        "energy_mj": 3 * latency,
        "size_bytes": size,
        "validated": False,
    }


CANDIDATES = [
    candidate(1, 0.2, 10),
    candidate(2, 0.5, 4),
    candidate(3, 0.6, 6),
    candidate(4, 3, 2),
]


def role(figure, name):
    return next(trace for trace in figure["data"] if trace["meta"]["role"] == name)


def test_front_holds_only_what_no_other_beats():
    data = tradeoff_data(CANDIDATES, BASELINE)
    assert [data["ids"][i] for i in data["fronts"]["latency"]] == [4, 2, 1]


def test_candidates_over_a_limit_are_hollow_and_off_the_front():
    budgets = {"max_accuracy_drop": 1.0, "max_latency_ms": 5.0}
    figure = tradeoff_figure(tradeoff_data(CANDIDATES, BASELINE, budgets))
    assert role(figure, "candidate")["ids"] == ["2"]
    assert role(figure, "outside")["ids"] == ["1", "3", "4"]
    assert role(figure, "front")["ids"] == ["2"]


def test_limits_are_drawn_with_zone_line_and_text():
    budgets = {"max_accuracy_drop": 1.0, "max_latency_ms": 5.0}
    layout = tradeoff_figure(tradeoff_data(CANDIDATES, BASELINE, budgets))["layout"]
    assert sorted(shape["name"] for shape in layout["shapes"]) == [
        "limit",
        "limit",
        "zone",
        "zone",
    ]
    assert layout["annotations"][0]["text"] == "limit −1.0 pt"


def test_axis_reaches_every_candidate_and_the_original():
    axis = tradeoff_data(CANDIDATES, BASELINE)["axes"]["latency"]
    assert axis["range"][0] < math.log10(2)
    assert axis["range"][1] > math.log10(28)


def test_hover_says_change_with_a_true_minus():
    text = tradeoff_data(CANDIDATES, BASELINE)["texts"][1]
    assert "98.5 % (−0.5 points)" in text
    assert "Latency 4.0 ms" in text


def test_figures_are_plain_json():
    json.dumps(tradeoff_figure(tradeoff_data(CANDIDATES, BASELINE)), allow_nan=False)


def test_reward_reads_search_metrics_only():
    events = [
        {
            "kind": "metric",
            "stage": "SEARCH",
            "data": {"episode": 1, "reward": 0.2, "average": 0.2},
        },
        {"kind": "metric", "stage": "RECOVER", "data": {"step": 1, "accuracy": 0.9}},
        {
            "kind": "metric",
            "stage": "SEARCH",
            "data": {"episode": 2, "reward": 0.4, "average": 0.3},
        },
    ]
    data = reward_data(events)
    assert data["episode"] == [1, 2]
    assert (data["reward"], data["average"]) == ([0.2, 0.4], [0.2, 0.3])
    assert "0.30" in reward_figure(data)["layout"]["meta"]["summary"]


def test_learning_curve_goes_on_where_a_restarted_search_tells_it_again():
    events = [
        {"kind": "metric", "stage": "SEARCH", "data": {"episode": at, "reward": at / 10}}
        for at in (1, 2, 3, 1, 2, 3, 4)
    ]
    assert reward_data(events)["episode"] == [1, 2, 3, 4]


def learning_figure(*points):
    events = [{"stage": "SEARCH", "kind": "metric", "data": point} for point in points]
    return reward_figure(reward_data(events))


ROUND = {"episode": 64, "reward": 0.2, "epsilon": 0.2, "loss": 0.012}


def test_learning_curve_says_gap_exploration_and_loss():
    figure = learning_figure(ROUND | {"gap": 0.034})
    assert figure["data"][0]["customdata"] == ["exploring 20 %<br>loss 0.012"]
    for said in ("gap to the best known 3.4 %", "exploring 20 %", "loss 0.012"):
        assert said in figure["layout"]["meta"]["summary"]


def test_learning_curve_draws_the_gap_where_it_was_judged_on_an_axis_of_its_own():
    before = {"episode": 0, "gap": 0.4}
    last = ROUND | {"episode": 128, "gap": 0.2}
    figure = learning_figure(before, ROUND, last)
    gap = role(figure, "gap")
    assert (gap["x"], gap["y"]) == ([0, 128], [40.0, 20.0])
    assert gap["name"] == "Gap to the best known, %"
    assert gap["yaxis"] == "y2"
    assert figure["layout"]["yaxis2"]["title"]["text"] == "Gap, %"
    assert role(figure, "raw")["x"] == [64, 128]


PUBLISHED = [
    {"phase": 1.0, "episode": 10, "reward": -0.4, "loss": 0.3, "epsilon": 0.9, "best": 0.1},
    {"phase": 2.0, "episode": 20, "reward": 0.2, "loss": 0.2, "noise": 0.4, "best": 0.35},
]


def recovery_events(*points):
    return [{"stage": "RECOVER", "kind": "metric", "data": point} for point in points]


def test_published_form_shows_how_it_learns_while_a_build_recovers():
    tuning = {"attempt": 0, "step": 1, "accuracy": 0.9}
    figures = job_figures(recovery_events(*PUBLISHED, tuning), baseline={"accuracy": 0.95})
    reward = figures["reward"]
    assert role(reward, "raw")["y"] == [-0.4, 0.2]
    best = role(reward, "gap")
    assert (best["name"], best["x"], best["y"]) == ("Best so far", [10, 20], [0.1, 0.35])
    assert role(reward, "raw")["customdata"] == [
        "exploring 90 %<br>loss 0.3",
        "noise 40 %<br>loss 0.2",
    ]
    assert "best recipe so far has 0.35" in reward["layout"]["meta"]["summary"]
    assert reward["layout"]["yaxis"]["range"][0] < -0.4
    assert role(figures["recovery"], "main")["y"] == [90.0]


def test_published_form_that_learns_anew_shows_its_newest_training():
    again = [dict(point, reward=point["reward"] / 2) for point in PUBLISHED[:1]]
    assert reward_data(recovery_events(*PUBLISHED, *again))["reward"] == [-0.2]


def test_learning_curve_without_a_gap_has_one_axis():
    assert "yaxis2" not in learning_figure(ROUND)["layout"]


def test_recovery_shows_the_original_and_the_limit():
    events = [
        {"kind": "metric", "stage": "RECOVER", "data": {"step": s, "total": 200, "accuracy": a}}
        for s, a in ((50, 0.95), (100, 0.98))
    ]
    data = recovery_data(events, BASELINE, {"max_accuracy_drop": 1.0})
    assert data["x"] == [50, 100]
    assert data["limit"] == 98.0
    figure = recovery_figure(data)
    assert [note["text"] for note in figure["layout"]["annotations"]] == [
        "original 99.0 %",
        "limit 98.0 %",
    ]
    assert figure["layout"]["xaxis"]["title"]["text"] == "Step of 200"


def test_job_without_events_has_no_charts():
    assert job_figures([]) == {"tradeoff": None, "reward": None, "recovery": None}


def test_latest_word_on_a_candidate_counts():
    events = [
        {"kind": "candidate", "stage": "SEARCH", "data": candidate(1, 2.0, 5)},
        {"kind": "candidate", "stage": "VALIDATE", "data": candidate(1, 0.5, 5)},
    ]
    figure = job_figures(events, baseline=BASELINE)["tradeoff"]
    assert role(figure, "candidate")["y"] == [98.5]


def test_layer_bars_take_the_technique_token():
    rows = [
        {"layer": "conv1", "technique": "keep", "ms_before": 0.1, "ms_after": 0.1},
        {"layer": "fc1", "technique": "filter_pruning+svd", "ms_before": 0.4, "ms_after": 0.1},
        {"layer": "relu", "technique": "keep", "ms_before": 0, "ms_after": 0},
    ]
    figure = layers_figure(layers_data(rows, LOOKS, "ms"))
    assert role(figure, "after")["meta"]["tokens"] == ["tech-keep", "tech-svd"]
    assert role(figure, "before")["y"] == ["conv1", "fc1"]


def test_only_a_change_beyond_chance_is_filled():
    rows = [
        {"name": "cat", "before": 0.95, "after": 0.90, "n": 1000},
        {"name": "dog", "before": 0.95, "after": 0.949, "n": 1000},
    ]
    figure = classes_figure(classes_data(rows))
    assert figure["data"][0]["y"] == ["cat", "dog"]
    assert figure["data"][0]["meta"]["clear"] == [-1, 0]


def test_paired_interval_is_kept_when_given():
    data = classes_data(
        [{"name": "a", "before": 0.9, "after": 0.8, "n": 10, "low": -12, "high": 1}]
    )
    assert (data["low"], data["high"]) == ([-12.0], [1.0])


def test_ticks_are_round_and_inside():
    assert log_ticks(0.0, 1.5) == [1, 2, 5, 10, 20]
    assert len(log_ticks(math.log10(0.040), math.log10(0.052))) >= 3
    assert linear_ticks(-1.1, 1.1, 5) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert log_range([])[0] == 0.0


def test_two_digits_like_the_pages():
    assert [two_digits(v) for v in (0.003, 0.0512, 0.62, 3.34, 9.97, 28.4, 1234)] == [
        "<0.01",
        "0.051",
        "0.62",
        "3.3",
        "10",
        "28",
        "1,200",
    ]


def test_tiny_networks_are_told_in_microseconds():
    rows = [{"layer": "conv1", "technique": "keep", "ms_before": 0.006, "ms_after": 0.005}]
    figure = layers_figure(layers_data(rows, LOOKS, "ms"))
    assert figure["layout"]["xaxis"]["title"]["text"] == "µs"
    assert role(figure, "before")["x"] == [6.0]


def test_recovery_shows_the_last_attempt_only():
    points = [(0, 100, 0.97), (0, 200, 0.98), (1, 100, 0.975)]
    events = [
        {
            "kind": "metric",
            "stage": "RECOVER",
            "data": {"attempt": attempt, "step": step, "total": 200, "accuracy": accuracy},
        }
        for attempt, step, accuracy in points
    ]
    assert recovery_data(events, BASELINE)["x"] == [100]


LOOKS = {
    "svd": {"title": "Low-rank", "letter": "S", "token": "tech-svd"},
    "filter_pruning": {"title": "Pruning", "letter": "P", "token": "tech-prune"},
}


def probe(layer, technique, kl, **params):
    data = {"layer": layer, "technique": technique, "params": params, "kl": kl}
    return {"stage": "PROBE", "kind": "metric", "data": data}


def test_sensitivity_fills_up_while_probes_come_in():
    events = [
        probe("fc1", "svd", 0.0197, rank_ratio=0.5),
        probe("conv1", "filter_pruning", 0.0, pruning_ratio=0.25),
        {"stage": "PROBE", "kind": "metric", "data": {"step": 1}},
        {"stage": "SEARCH", "kind": "metric", "data": {"reward": 1}},
    ]
    data = sensitivity_data(probe_events(events), ["conv1", "pool", "fc1"], LOOKS)
    assert data["layers"] == ["conv1", "fc1"]
    figure = sensitivity_figure(data)
    svd, pruning = figure["data"]
    assert (svd["y"], svd["text"], svd["meta"]["token"]) == (["fc1"], ["S"], "tech-svd")
    assert svd["customdata"] == [["1/2", "0.0197"]]
    assert pruning["customdata"] == [["−25 %", "0.0000"]]
    assert pruning["x"][0] > 0  # a logarithmic axis has no zero
    assert figure["layout"]["meta"]["summary"].startswith(
        "How far 2 single changes to 2 layers"
    )
    json.dumps(figure, allow_nan=False)


def test_changes_stand_beside_their_classes_even_if_those_are_called_by_numbers():
    rows = [
        {"name": name, "before": 0.9, "after": 0.9 + gain, "n": 100}
        for name, gain in (("8", 0.02), ("0", -0.03), ("3", 0.0))
    ]
    data = classes_data(rows)
    notes = classes_figure(data)["layout"]["annotations"]
    beside = {data["name"][note["y"]]: note["text"] for note in notes}
    assert beside == {"0": "−3.0", "3": "+0.0", "8": "+2.0"}


def test_layers_say_before_and_after_at_their_end():
    rows = [
        {"layer": "conv1", "ms_before": 4.66, "ms_after": 2.2},
        {"layer": "fc", "ms_before": 1.0, "ms_after": 1.0},
    ]
    notes = layers_figure(layers_data(rows, LOOKS, "ms"))["layout"]["annotations"]
    assert [(note["y"], note["text"]) for note in notes] == [
        (0, "4.7 → <b>2.2</b>"),
        (1, "1.0"),
    ]


def test_deep_networks_keep_their_largest_layers_in_order_and_sum_up_the_others():
    rows = [
        {"layer": f"conv{i}", "ms_before": 5.0 if i % 50 == 0 else 0.1, "ms_after": 0.05}
        for i in range(500)
    ]
    data = layers_data(rows, LOOKS, "ms")
    assert len(data["layers"]) <= 121
    assert data["layers"][0] == "conv0"
    assert "conv450" in data["layers"]
    assert sum(data["before"]) == pytest.approx(sum(row["ms_before"] for row in rows))
    assert sum(data["after"]) == pytest.approx(500 * 0.05)


def test_charts_without_labels_say_agreement():
    baseline = {**BASELINE, "accuracy_kind": "agreement"}
    layout = tradeoff_figure(tradeoff_data(CANDIDATES, baseline))["layout"]
    assert layout["yaxis"]["title"]["text"] == "Agreement, %"
    assert layout["meta"]["summary"].startswith("Agreement against latency of")
    assert layout["meta"]["quality"] == "Agreement"
