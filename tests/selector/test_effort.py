import pytest

from selector.effort import Activations, effort_for


def test_small_activations_leave_batches_as_they_are():
    small = Activations(largest=16_384, together=600_000)
    assert effort_for(41_000_000, 600, 2, small) == effort_for(41_000_000, 600, 2)


def test_large_activations_make_batches_and_calibration_smaller():
    large = Activations(largest=3_211_264, together=15_000_000)
    found, usual = effort_for(10**10, 600, 2, large), effort_for(10**10, 600, 2)
    assert (found.batch_size, usual.batch_size) == (8, 64)
    assert (found.calibration_samples, usual.calibration_samples) == (16, 128)
    assert found.recovery_steps >= usual.recovery_steps


def test_less_time_makes_trials_neither_few_nor_short_alone():
    usual, less = (effort_for(3_000_000, limit, 1) for limit in (600, 180))
    work = [each.candidates * each.candidate_steps for each in (usual, less)]
    assert 0.25 < work[1] / work[0] < 0.35
    assert less.candidate_steps / less.recovery_steps > 1.5 * (
        usual.candidate_steps / usual.recovery_steps
    )


def test_hours_go_into_recovery_not_into_more_candidates():
    usual, hours = (effort_for(200_000_000, limit, 1) for limit in (2400, 3 * 3600))
    assert hours.candidates == usual.candidates
    assert hours.candidate_steps == usual.candidate_steps
    assert hours.recovery_steps == 18 / 4 * usual.recovery_steps
    assert hours.recoveries > usual.recoveries


def test_a_gpu_fine_tunes_large_networks_longer_and_searches_as_before():
    usual, gpu = (effort_for(200_000_000, 1200, 1, gpu=gpu) for gpu in (False, True))
    assert gpu.recovery_steps == 20 * usual.recovery_steps
    assert gpu.candidate_steps == 20 * usual.candidate_steps
    assert gpu.batch_size == 4 * usual.batch_size
    usual, gpu = (effort_for(41_000_000, 1200, 1, gpu=gpu) for gpu in (False, True))
    assert gpu.recovery_steps == pytest.approx(4.1 * usual.recovery_steps, rel=0.01)
    wide = Activations(together=2**23)
    assert effort_for(200_000_000, 1200, 1, wide, gpu=True).batch_size == 8
    assert (gpu.probes, gpu.candidates) == (usual.probes, usual.candidates)
    assert effort_for(400_000, 1200, 1, gpu=True) == effort_for(400_000, 1200, 1)


def test_large_networks_are_tuned_by_few_examples_and_judged_by_more():
    large, small = effort_for(41_000_000, 600, 1), effort_for(400_000, 600, 1)
    assert (large.check_samples, large.search_samples) == (1000, 5000)
    assert small.check_samples == small.search_samples == 5000
    photos = Activations(example=3 * 224 * 224)
    assert effort_for(56_000_000, 600, 1, photos).search_samples == 1000
