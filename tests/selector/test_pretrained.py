from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from compression import technique
from compression.cost import load_device
from selector import features
from selector.dqn import Trainer, Training
from selector.learner import Learner
from selector.pretrained import AGENT, pretrained
from selector.surrogate import Surrogate
from tests.selector.synthetic_tables import lenet_tables, residual_tables

ROOT = Path(__file__).parents[2]


def test_agent_is_read_without_torch_and_without_pickles():
    code = "import sys; from selector.pretrained import pretrained; pretrained(); print('torch' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "False"
    with np.load(AGENT, allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
    assert AGENT.stat().st_size < 200_000


def test_agent_fits_the_network_as_it_is():
    arrays = Learner(0, pretrained()).arrays()
    assert all(np.array_equal(arrays[name], array) for name, array in pretrained().items())


def test_card_says_what_the_agent_was_made_of():
    card = json.loads(AGENT.with_suffix(".json").read_text(encoding="utf-8"))
    assert {"networks", "left_out", "devices", "seed", "training", "gap_of_rollouts"} <= set(
        card
    )
    assert not set(card["networks"]) & set(card["left_out"])
    gaps = card["gap_of_rollouts"].values()
    assert np.mean([x["trained"] for x in gaps]) < np.mean([x["untrained"] for x in gaps])


@pytest.mark.parametrize("tables", [lenet_tables(11), residual_tables(12)])
def test_agent_helps_on_networks_that_it_never_saw(tables):
    torch.set_num_threads(1)
    settings = Training(rounds=1, pool_size=60, pool_rounds=2)
    fresh, carried = (
        Trainer(Surrogate(tables), [load_device("rpi4")], settings, each).gap()
        for each in (Learner(0), Learner(0, pretrained()))
    )
    assert carried < 0.75 * fresh


def test_every_technique_has_an_identity():
    """A technique without one still works; train the agent anew with it in the vocabulary."""
    assert set(technique.names()) <= set(features.VOCABULARY)
