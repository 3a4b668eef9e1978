import io
import json
from types import SimpleNamespace

import pytest

from compression.types import Stage
from selector import reporter
from selector.jobfolder import Part
from selector.reporter import Reporter


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    now = [0.0]
    monkeypatch.setattr(reporter, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def left_s(told, clock, at_s, done, total):
    clock[0] = at_s
    told.progress(done, total)
    return json.loads(told.stream.getvalue().splitlines()[-1])["eta_s"]


def test_time_left_follows_the_pace_and_not_what_was_prepared_before(clock):
    told = Reporter(stream=io.StringIO())
    told.begin(Stage.RECOVER, Part())
    assert left_s(told, clock, 9.0, 0, 100) is None
    assert left_s(told, clock, 10.0, 10, 100) == 90.0  # nothing else is known yet
    assert left_s(told, clock, 11.0, 20, 100) == 8.0
    assert left_s(told, clock, 19.0, 100, 100) == 0.0


def test_nothing_is_said_while_what_was_prepared_hides_the_pace(clock):
    told = Reporter(stream=io.StringIO())
    told.begin(Stage.RECOVER, Part())
    assert left_s(told, clock, 20.0, 2, 100) is None
    assert left_s(told, clock, 21.0, 12, 100) == 8.8


def test_count_that_stands_does_not_slow_the_pace(clock):
    """Lines come more often than the count moves: what is under way takes one step's time at most."""
    told = Reporter(stream=io.StringIO())
    told.begin(Stage.PROBE, Part())
    left_s(told, clock, 10.0, 2, 22)
    assert left_s(told, clock, 12.0, 4, 22) == 18.0
    assert left_s(told, clock, 12.5, 4, 22) == 17.5
    assert left_s(told, clock, 19.0, 4, 22) == 17.0
    assert left_s(told, clock, 20.0, 5, 22) == pytest.approx(17 * 10 / 3, abs=0.1)


def test_each_stage_has_a_pace_of_its_own(clock):
    told = Reporter(stream=io.StringIO())
    told.begin(Stage.MEASURE, Part())
    left_s(told, clock, 1.0, 1, 4)
    left_s(told, clock, 2.0, 2, 4)
    told.begin(Stage.PACKAGE, Part())
    assert left_s(told, clock, 4.0, 1, 2) == 2.0


def test_stage_that_knows_better_says_itself_what_is_left(clock):
    told = Reporter(stream=io.StringIO())
    told.begin(Stage.RECOVER, Part())
    clock[0] = 10.0
    told.progress(100, 300, left_s=55.04)
    line = json.loads(told.stream.getvalue().splitlines()[-1])
    assert (line["done"], line["total"], line["eta_s"]) == (100, 300, 55.0)


def test_sentence_that_quotes_an_endless_name_is_cut():
    told = Reporter(stream=io.StringIO())
    told.error("é" * 10**6, "some")
    told.log("A sentence.")
    error, log = told.stream.getvalue().splitlines()
    assert len(error) < 64 * 1024
    assert json.loads(error)["data"]["message"].endswith("é…")
    assert json.loads(log)["data"]["text"] == "A sentence."
