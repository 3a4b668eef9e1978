"""Milliseconds in ONNX Runtime: whole files timed in turns, and single operations looked up.

Everything runs at batch 1 on one thread that does not spin: spinning threads of other sessions
make outliers of fifty times the true value.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort

from compression.op_context import Excerpt, alone, in_context
from compression.runtime import quiet_session
from compression.types import OpSpec, Precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Feed = Mapping[str, NDArray[np.generic]]

MIN_ROUNDS = 30
_WARM_UP = 10
_BURST_MS = 4.0
_BOOTSTRAPS = 1000

_LOOKUP_MS = 3.0
_LOOKUP_RUNS = (4, 60)
_LOOKUP_PASSES, _MORE_PASSES = 2, 3
_AGREE, _AGREE_MS = 0.1, 0.001
"""Two times of an operation agree when they differ by no more than that share, or milliseconds."""

_REFERENCE_EVERY = 40
_REFERENCE = OpSpec(
    op="dense", in_shape=(256,), out_shape=(256,), macs=256 * 256, params=256 * 256 + 256
)
_EMPTY = OpSpec(op="elementwise", in_shape=(1,), out_shape=(1,))
_KEPT_BYTES = 64_000_000
"""Of operations that stay as they were cut out, to be timed again: cutting a small one out takes longer than its timing."""

_SMALLEST_MS = 1e-4
_SHORT_MS = 0.1

SpecKey = tuple[OpSpec, Precision]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timing:
    """Rounds of one file, milliseconds each, and its speed-up over the first file.

    ``ratio`` is the median of the first file's time to this one's, round by round; ``ratio_ci`` is
    the 5-95 % range of that median, bootstrapped. ``undisturbed_ms`` is the time that one in ten of
    all calls stays below: on a busy machine longer calls are interrupted more often than not.
    """

    rounds_ms: NDArray[np.float64]
    ratio: float
    ratio_ci: tuple[float, float]
    undisturbed_ms: float

    @property
    def p50(self) -> float:
        """The median round in ms."""
        return float(np.median(self.rounds_ms))

    @property
    def p90(self) -> float:
        """The round in ms that nine in ten stay below."""
        return float(np.quantile(self.rounds_ms, 0.9))

    @property
    def p10(self) -> float:
        """The round in ms that one in ten stays below."""
        return float(np.quantile(self.rounds_ms, 0.1))

    def to_json(self) -> dict[str, float | int]:
        """The keys of a report's ``host_latency_ms``."""
        return {
            "p10": round(self.p10, 5),
            "p50": round(self.p50, 5),
            "p90": round(self.p90, 5),
            "rounds": len(self.rounds_ms),
        }


def paired_latency(
    files: Mapping[str, bytes],
    x1: NDArray[np.float32],
    rounds: int = 40,
    *,
    seed: int = 0,
    keep_on: Callable[[int, int], bool] | None = None,
) -> dict[str, Timing]:
    """Time files against the first of them: each runs a short burst in every round.

    The order in a round is random, so a slow phase of the machine hits all alike, and ratios are
    taken round by round.

    Args:
        files: ONNX bytes by name; the first is what the others are compared with.
        x1: one model-ready example, ``[1, ...]``.
        rounds: at least ``MIN_ROUNDS`` are needed for a figure that may be called measured.
        seed: of the order.
        keep_on: told ``(done, rounds)``; a false answer ends after at least one round.
    """
    calls = {name: _call(data, x1) for name, data in files.items()}
    repeats = {name: _repeats(call) for name, call in calls.items()}
    rng, names = np.random.default_rng(seed), list(files)
    calls_ms: dict[str, list[list[float]]] = {name: [] for name in names}
    for done in range(1, rounds + 1):
        for at in rng.permutation(len(names)):
            name = names[at]
            calls[name]()  # bring its weights back into the caches
            calls_ms[name].append(_times_ms(calls[name], repeats[name]))
        if keep_on is not None and not keep_on(done, rounds):
            break
    first = np.median(calls_ms[names[0]], axis=1)
    return {name: _timing(np.array(calls_ms[name]), first, rng) for name in names}


class LatencyLookup:
    """Times single operations, each as it runs between others, and keeps what it has timed.

    What an empty file takes is subtracted: that much is paid once a network, not once a layer. A
    reference file is timed along; when the machine slows down or speeds up, times follow it.

    A network that is over in ``_SHORT_MS`` runs between the calls of an operation: the processor
    foresees the branches of a small operation better when it sees nothing else.
    """

    def __init__(
        self, network: bytes | None = None, x1: NDArray[np.float32] | None = None
    ) -> None:
        """``network`` is the ONNX file that the operations are of, ``x1`` one example for it."""
        self._between = (
            _nothing if network is None or x1 is None else _short(_bound_network(network, x1))
        )
        self._times_ms: dict[SpecKey, list[float]] = {}
        self._excerpts: dict[SpecKey, Excerpt | None] = {}
        self._room = _KEPT_BYTES
        self._reference = _bound_excerpt(alone(_REFERENCE, Precision.FP32))
        self._reference_ms = 0.0
        self._floor_ms = 0.0

    @property
    def floor_ms(self) -> float:
        """What a call of an empty file takes; 0 before anything was measured."""
        return self._floor_ms

    def measure(
        self,
        specs: Iterable[SpecKey],
        keep_on: Callable[[int, int], bool] | None = None,
    ) -> dict[SpecKey, float]:
        """Milliseconds of each operation at its precision: the median of two times, or of five.

        Five where two lie apart. Small operations have two speeds, as the processor happens to
        foresee their branches or not: the usual one counts, as it will in a network.

        Args:
            specs: may repeat themselves.
            keep_on: told ``(done, total)``; a false answer stops, and what is missing is absent.
        """
        wanted = list(dict.fromkeys(specs))
        missing = [key for key in wanted if key not in self._times_ms]
        if missing and not self._reference_ms:
            self._reference_ms = _typical_ms(self._reference)
            self._floor_ms = _typical_ms(_bound_excerpt(alone(_EMPTY, Precision.FP32)))
        done, total = 0, _LOOKUP_PASSES * len(missing)
        for batch in _shuffled_batches(missing, _LOOKUP_PASSES):
            self._measure_batch(batch)
            done += len(batch)
            if keep_on is not None and not keep_on(done, total):
                break
        else:
            for batch in _shuffled_batches(self._unsure(missing), _MORE_PASSES):
                self._measure_batch(batch)
        timed = (key for key in wanted if key in self._times_ms)
        return {key: float(np.median(self._times_ms[key])) for key in timed}

    def _unsure(self, keys: Sequence[SpecKey]) -> list[SpecKey]:
        times = self._times_ms
        return [
            key
            for key in keys
            if not math.isclose(*times[key], rel_tol=_AGREE, abs_tol=_AGREE_MS)
        ]

    def _measure_batch(self, keys: Sequence[SpecKey]) -> None:
        before = _typical_ms(self._reference)
        found = [self._in_context_ms(*key) for key in keys]
        after = _typical_ms(self._reference)
        drift = 0.5 * (before + after) / self._reference_ms
        for key, each_ms in zip(keys, found, strict=True):
            ms = max(_SMALLEST_MS, each_ms / drift - self._floor_ms)
            self._times_ms.setdefault(key, []).append(ms)

    def _in_context_ms(self, spec: OpSpec, precision: Precision) -> float:
        excerpt = self._excerpt(spec, precision)
        return _typical_ms(_bound_excerpt(excerpt), self._between) if excerpt else 0.0

    def _excerpt(self, spec: OpSpec, precision: Precision) -> Excerpt | None:
        if (spec, precision) in self._excerpts:
            return self._excerpts[spec, precision]
        found = in_context(spec, precision)
        n_bytes = found.n_bytes if found else 0
        if n_bytes <= self._room:
            self._room -= n_bytes
            self._excerpts[spec, precision] = found
        return found


def _shuffled_batches(keys: Sequence[SpecKey], passes: int) -> Iterator[list[SpecKey]]:
    """All keys once a pass, in an order of its own: a disturbance hits different ones each time."""
    rng = np.random.default_rng(0)
    for _ in range(passes):
        order = rng.permutation(len(keys))
        for start in range(0, len(keys), _REFERENCE_EVERY):
            yield [keys[i] for i in order[start : start + _REFERENCE_EVERY]]


def _call(data: bytes, x1: NDArray[np.float32]) -> Callable[[], object]:
    """One inference of a file on one example; a fixed batch is filled with copies of it."""
    session = quiet_session(data)
    feed = _filled(session, x1)
    return lambda: session.run(None, feed)


def _filled(session: ort.InferenceSession, x1: NDArray[np.float32]) -> Feed:
    entry = session.get_inputs()[0]
    batch = entry.shape[0] if entry.shape and isinstance(entry.shape[0], int) else 1
    return {entry.name: np.ascontiguousarray(np.repeat(x1[:1], batch, axis=0), np.float32)}


def _bound_network(data: bytes, x1: NDArray[np.float32]) -> Callable[[], object]:
    session = quiet_session(data)
    return _bound(session, _filled(session, x1))


def _bound_excerpt(excerpt: Excerpt) -> Callable[[], object]:
    return _bound(excerpt.session(), excerpt.feed)


def _bound(session: ort.InferenceSession, feed: Feed) -> Callable[[], object]:
    """A call that copies nothing: its input and its output lie in the runtime's own memory."""
    binding = session.io_binding()
    for name, values in feed.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(values))
    names = [output.name for output in session.get_outputs()]
    for name, values in zip(names, session.run(names, feed), strict=True):
        binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(values))
    return lambda: session.run_with_iobinding(binding)


def _nothing() -> None:
    """What runs between calls that follow each other at once."""


def _short(call: Callable[[], object]) -> Callable[[], object]:
    return call if _typical_ms(call) < _SHORT_MS else _nothing


def _times_ms(
    call: Callable[[], object], repeats: int, between: Callable[[], object] = _nothing
) -> list[float]:
    times = []
    for _ in range(repeats):
        between()
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def _repeats(call: Callable[[], object]) -> int:
    """Calls that fill one burst."""
    for _ in range(_WARM_UP):
        call()
    each = float(np.median(_times_ms(call, _WARM_UP)))
    return int(np.clip(_BURST_MS / max(each, 1e-4) + 1, 3, 200))


def _typical_ms(call: Callable[[], object], between: Callable[[], object] = _nothing) -> float:
    """The lower quartile of as many calls as the budget allows: interruptions only ever add."""
    for _ in range(3):
        call()
    each = min(_times_ms(call, 3, between))
    repeats = int(np.clip(_LOOKUP_MS / max(each, 1e-4), *_LOOKUP_RUNS))
    return float(np.quantile(_times_ms(call, repeats, between), 0.25))


def _timing(
    calls_ms: NDArray[np.float64], first_ms: NDArray[np.float64], rng: np.random.Generator
) -> Timing:
    """From all calls ``[rounds, calls]`` of a file, and the rounds of the first one."""
    rounds_ms = np.median(calls_ms, axis=1)
    ratios = first_ms / rounds_ms
    again = np.median(ratios[rng.integers(0, len(ratios), (_BOOTSTRAPS, len(ratios)))], axis=1)
    low, high = np.quantile(again, (0.05, 0.95))
    return Timing(
        rounds_ms=rounds_ms,
        ratio=float(np.median(ratios)),
        ratio_ci=(float(low), float(high)),
        undisturbed_ms=float(np.quantile(calls_ms, 0.1)),
    )
