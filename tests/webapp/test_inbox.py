"""What a worker takes in of the engine's output."""

import io
import json

import pytest

from compression.types import Stage
from selector.reporter import LONGEST_LINE, Reporter
from webapp.jobs.inbox import Inbox


def line(text):
    return json.dumps({"kind": "log", "data": {"text": text}}).encode() + b"\n"


def texts_of(*chunks):
    inbox = Inbox(Stage.PROBE)
    for chunk in chunks:
        inbox.feed(chunk)
    return [taken.data["text"] for taken in inbox.take_all()]


def test_line_that_is_too_long_is_dropped_and_the_next_one_taken():
    long = line("x" * LONGEST_LINE)
    assert texts_of(line("before") + long + line("after")) == ["before", "after"]
    assert texts_of(line("before"), long[:-1], long[-1:], line("after")) == ["before", "after"]


@pytest.mark.parametrize(("decisions", "has_config"), [(1_000, True), (20_000, False)])
def test_candidate_of_any_number_of_decisions_is_taken(decisions, has_config):
    told = Reporter(stream=io.StringIO())
    told.candidate(config=[999] * decisions, id=3, drop_points=1 / 3)
    inbox = Inbox(Stage.VALIDATE)
    inbox.feed(told.stream.getvalue().encode())
    (taken,) = inbox.take_all()
    assert (taken.data["id"], taken.data["drop_points"]) == (3, 1 / 3)
    assert ("config" in taken.data) == has_config
