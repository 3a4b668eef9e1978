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
    noted(pace, clock, (21.0, 0, 10), (22.0, 0, 20))
    assert pace.left_s(100, 3) == pytest.approx(280 / 10 + 2 * 20)
    assert pace.left_s(100, 1.5) == pytest.approx(130 / 10 + 10)
    noted(pace, clock, (30.0, 0, 100), (61.0, 1, 10))
    assert pace.left_s(100, 3) == pytest.approx(190 / 10 + 25)


def test_steps_that_a_restart_repeats_at_once_are_no_pace(clock):
    """Half of a recovery was done before: it is noted within a moment, and then goes on at ten steps a second."""
    pace = RecoveryPace()
    noted(pace, clock, *((5.0, 0, step) for step in range(10, 501, 10)))
    noted(pace, clock, (6.0, 0, 510), (7.0, 0, 520), (8.0, 0, 530))
    assert pace.left_s(1000, 1) == pytest.approx(47)


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
