"""How much work each stage may do, in counts, so that a seed repeats; INSPECT settles whether they are a GPU's."""

from __future__ import annotations

import math
from dataclasses import dataclass

_REFERENCE_LIMIT_S = 600.0

_MOST_STUDY, _MOST_RECOVERY = 4.0, 36.0
"""Times the usual work that is done at most with hours to spend: more looking around tells little, more fine-tuning wins points."""

_GPU_BATCH = 256
"""Samples of a step where a GPU trains: with fewer it waits for the processor that feeds it."""

_GPU_GAIN_MACS, _MOST_GPU_GAIN = 10_000_000, 20.0
"""From how many MACs on a GPU does more steps, one by one more of them, and how many times as many at most. An AlexNet of 226 M MACs took
363 ms a step of 64 in float on one core, and 16 to 38 ms a step of 256 on an H100 that other trainings shared."""

_TRAINING_VALUES = 2**26
"""Activations of one training batch: 256 MB, and as much again for their gradients."""

_JUDGED_VALUES = 2**26
"""Of all examples that a file is judged on beyond those that serve while it is tuned: 256 MB."""

_CALIBRATION_VALUES = 2**25
"""The largest activation of all calibration examples: 128 MB; three or four stand at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Counts that follow from the network's size and the time limit, never from a clock.

    ``*_samples`` are examples (``check_samples`` of the search split serve while a network is tuned, ``search_samples`` judge its file), ``search_rounds`` are of the DQN's training, ``*_steps`` are optimiser
    steps of ``batch_size`` examples; ``synthetic_inputs`` are made where there is no data; ``probes`` are
    the most single changes that PROBE tries, ``pair_probes`` pairs of them, ``timed_networks`` whole networks that it times,
    ``candidates`` are recipes built for real during VALIDATE and ``recoveries`` how often RECOVER may
    build one and look again.
    """

    threads: int
    batch_size: int
    synthetic_inputs: int
    calibration_samples: int
    probe_samples: int
    probes: int
    pair_probes: int
    timed_networks: int
    search_samples: int
    check_samples: int
    search_rounds: int
    candidates: int
    candidate_steps: int
    recovery_steps: int
    recoveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """Values of one example that stand in memory: of the largest layer, of all together, and its own or its answer's."""

    largest: int = 1
    together: int = 1
    example: int = 1


def effort_for(
    macs: int,
    time_limit_s: float,
    threads: int,
    activations: Activations | None = None,
    *,
    gpu: bool = False,
) -> Effort:
    """The work a network of that many MACs gets within that limit, on so many threads at most.

    Large activations make batches and calibration smaller, so that a job keeps inside its memory. A ``gpu`` fine-tunes large
    networks many times as long in that time; the rest is the processor's work.
    """
    held = activations or Activations()
    patience = max(0.1, time_limit_s / _REFERENCE_LIMIT_S)
    share = min(_MOST_STUDY, patience)
    # Half the time: neither half the candidates nor half their steps, for what is hardly trained tells little.
    trials = max(share, math.sqrt(share))
    batch_size = 128 if macs < 5_000_000 else 64
    most_samples = max(8, _TRAINING_VALUES // held.together)
    batch_size = min(batch_size, most_samples)
    gain = min(_MOST_GPU_GAIN, max(1.0, macs / _GPU_GAIN_MACS)) if gpu else 1.0
    macs_a_step = 3 * max(macs, 200_000) * batch_size
    checks = _clipped(2e10 / max(macs, 1), 1000, 5000)
    return Effort(
        # Tiny operations gain nothing from a second thread, and lose much where cores are shared.
        threads=1 if macs < 5_000_000 else threads,
        batch_size=min(_GPU_BATCH, most_samples) if gain > 1 else batch_size,
        synthetic_inputs=_clipped(1.2e12 * share / (60 * max(macs, 1)), 256, 3000),
        calibration_samples=min(
            _clipped(1e10 / max(macs, 1), 128, 512),
            max(16, _CALIBRATION_VALUES // held.largest),
        ),
        probe_samples=_clipped(2.5e9 / max(macs, 1), 256, 1000),
        probes=_clipped(3.5e10 * share / max(macs, 1), 120, 1000),
        pair_probes=_clipped(share * min(80.0, 6e9 / max(macs, 1)), 16, 80),
        # 9 in 10 cannot be told from fewer than 9, nor with one outlier from fewer than 19
        timed_networks=_clipped(4.5e9 / max(macs, 1), 9, 19),
        search_samples=max(
            checks,
            min(_clipped(5e11 / max(macs, 1), 1000, 5000), _JUDGED_VALUES // held.example),
        ),
        check_samples=checks,
        search_rounds=_clipped(30 * share, 10, 60),
        candidates=_clipped(12 * trials, 3, 16),
        candidate_steps=_scaled(_clipped(1.0e11 / macs_a_step, 30, 300), gain * trials),
        recovery_steps=_scaled(
            _clipped(1.2e12 / macs_a_step, 120, 2000), gain * min(_MOST_RECOVERY, patience)
        ),
        recoveries=4 if macs < 20_000_000 or patience > _MOST_STUDY else 2,
    )


def _scaled(count: int, share: float) -> int:
    return max(20, round(count * share))


def _clipped(value: float, low: int, high: int) -> int:
    return int(min(high, max(low, value)))
