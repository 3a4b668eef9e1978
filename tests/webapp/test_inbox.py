"""What a worker takes in of the engine's output."""

import json

from compression.types import Stage
from webapp.jobs.inbox import LONGEST_LINE, Inbox


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


def test_candidate_of_ten_thousand_decisions_is_taken():
    inbox = Inbox(Stage.VALIDATE)
    row = {"config": [999] * 10_000, "drop_points": 1 / 3}
    inbox.feed(json.dumps({"kind": "candidate", "data": row}).encode() + b"\n")
    (taken,) = inbox.take_all()
    assert taken.data == row
