from types import SimpleNamespace

import pytest

from selector import recovery_pace
from selector.recovery_pace import RecoveryPace


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    now = [0.0]
    monkeypatch.setattr(recovery_pace, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def noted(pace, clock, *said):
    for at_s, attempt, step in said:
        clock[0] = at_s
        pace.note(attempt, step)


def test_nothing_is_known_before_steps_have_taken_time(clock):
    pace = RecoveryPace()
    assert pace.left_s(100, 3) is None
    noted(pace, clock, (20.0, 0, 10))
    assert pace.left_s(100, 3) is None


def test_each_recovery_to_come_is_thought_out_too(clock):
    """Ten steps a second, and twenty seconds before each recovery."""
    pace = RecoveryPace()
    noted(pace, clock, (20.0, 0, 10), (21.0, 0, 20))
    assert pace.left_s(100, 3) == pytest.approx(280 / 10 + 2 * 20)
    assert pace.left_s(100, 1.5) == pytest.approx(130 / 10 + 10)
    noted(pace, clock, (29.0, 0, 100), (59.0, 1, 10))
    assert pace.left_s(100, 3) == pytest.approx(190 / 10 + 25)


def test_seconds_since_the_last_step_have_passed(clock):
    pace = RecoveryPace()
    noted(pace, clock, (0.0, 0, 0), (10.0, 0, 50))
    clock[0] = 12.0
    assert pace.left_s(100, 1) == pytest.approx(8)


def test_what_takes_longer_than_expected_is_never_negative(clock):
    pace = RecoveryPace()
    noted(pace, clock, (0.0, 0, 0), (10.0, 0, 100))
    clock[0] = 30.0
    assert pace.left_s(100, 1) == 0
