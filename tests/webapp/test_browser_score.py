"""The browser picks candidates by a formula of its own: one file of examples holds both to the same."""

import json
from pathlib import Path

import numpy as np
import pytest

from selector import reward

EXAMPLES = Path(__file__).parents[1] / "js" / "fixtures" / "scores.json"
COSTS = ("latency_ms", "energy_mj", "size_bytes")


def test_python_scores_the_examples_that_the_browser_is_tested_with():
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    limits = [np.inf if limit is None else limit for limit in examples["budgets"].values()]
    wants = reward.Preferences(
        weights=np.array([list(examples["goals"].values())]),
        limits=np.array([limits]),
        base=np.array([[examples["baseline"][name] for name in COSTS]]),
        best_log2=np.array([list(examples["best_log2"].values())]),
        target=np.array([0]),
    )
    rows = [[c["drop_points"], *(c[name] for name in COSTS)] for c in examples["candidates"]]
    values = np.array([rows])
    assert reward.score(values, wants)[0].tolist() == pytest.approx(examples["scores"])
    excess = reward.violations(values, wants)[0].sum(axis=-1)
    assert excess.tolist() == pytest.approx(examples["excess"])
    best = int(reward.utility(values, wants)[0].argmax())
    assert examples["candidates"][best]["id"] == examples["best"]
