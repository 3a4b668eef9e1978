"""The card of the agent that comes with the package."""

import json
import shlex

from benchmarks.pretrain import command, options_of
from selector.pretrained import AGENT


def test_card_says_how_the_shipped_agent_was_made():
    card = json.loads(AGENT.with_suffix(".json").read_text(encoding="utf-8"))
    arguments = shlex.split(card["made_by"])[3:]
    assert command(arguments) == card["made_by"]
    asked = options_of(arguments)
    assert (asked.rounds, asked.seed) == (card["training"]["rounds"], card["seed"])
    assert asked.without == card["left_out"]
    drawn = [name for name in card["networks"] if name.startswith("synthetic")]
    assert len(drawn) == 3 * asked.synthetic
