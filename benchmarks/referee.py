"""Judges every file of a task alike: accuracy on the test part, bytes, time in turns with the original.

``python -m benchmarks.referee [NAME...] [--rounds 40]`` reads ``.proof/NAME/files`` (ours and the peers') and writes
``results/proof/NAME.json``. Times are of this machine, one thread, all files in random order in each round; without
``--rounds`` those that are known stay. A file that is missing is a row with the reason; rows of the table whose
files do not lie here stay too, without times when the others are timed anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymoo.indicators.hv import HV

from benchmarks.task import ROOT, WORK, examples, get, missing, names
from compression.comparison import paired_interval
from compression.evaluation import onnx_logits, zip_bytes
from compression.latency import paired_latency
from compression.packed import packed_bytes
from selector.pareto import front
from selector.report import host

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RESULTS = ROOT / "benchmarks" / "results" / "proof"
GROUP = 12
"""Files that are timed together; the original is among them each time."""

MOST_POINTS = 5.0
"""Where the volume ends: a model that loses so many points adds nothing."""

FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""What decides how 8-bit arithmetic compares with float."""

Row = dict[str, Any]


def machine() -> Row:
    """The processor and its vector features."""
    cpuinfo = Path("/proc/cpuinfo")
    known = set(cpuinfo.read_text(errors="replace").split()) if cpuinfo.is_file() else set()
    return {**host(), "features": [name for name in FEATURES if name in known]}


class Referee:
    """The test part of a task and what the original answers to it."""

    def __init__(self, name: str) -> None:
        task = get(name)
        self._x, self._y = examples(task, task.arrays(), "test")
        self.base = task.base.read_bytes()
        self._right = self._answers(self.base)

    @property
    def x1(self) -> np.ndarray:
        """One sample, for timing."""
        return self._x[:1]

    def judged(self, data: bytes) -> Row:
        """Everything but time: exact, the same on every machine up to rounding of single answers.

        But for 8-bit arithmetic with weights of full range: without VNNI its sums saturate, and accuracy is the machine's too.
        """
        right = self._answers(data)
        lost, gained = (
            int(np.sum(a & ~b)) for a, b in ((self._right, right), (right, self._right))
        )
        low, high = paired_interval(lost, gained, len(right))
        packed, packed_base = packed_bytes(data), packed_bytes(self.base)
        return {
            "sha256": hashlib.sha256(data).hexdigest(),
            "n": len(right),
            "accuracy": float(right.mean()),
            "drop_points": 100 * (lost - gained) / len(right),
            "drop_ci": [100 * low, 100 * high],
            "bytes": len(data),
            "file": len(self.base) / len(data),
            "zip": zip_bytes(self.base) / zip_bytes(data),
            "xz": packed_base / packed if packed and packed_base else None,
        }

    def timed(self, files: Mapping[str, bytes], rounds: int) -> dict[str, Row]:
        """How often each is as fast as the original, with the range of the median over rounds."""
        found: dict[str, Row] = {}
        order = list(files)
        for start in range(0, len(order), GROUP):
            part = {name: files[name] for name in order[start : start + GROUP]}
            timings = paired_latency({"": self.base} | part, self.x1, rounds, seed=start)
            base_ms = timings.pop("").p50
            for name, timing in timings.items():
                found[name] = {
                    "latency": round(timing.ratio, 4),
                    "latency_range": [round(end, 4) for end in timing.ratio_ci],
                    "ms": round(timing.p50, 5),
                    "base_ms": round(base_ms, 5),
                    "rounds": rounds,
                }
        return found

    def _answers(self, data: bytes) -> np.ndarray:
        right: np.ndarray = onnx_logits(data, self._x).argmax(axis=1) == self._y
        return right


def measure(name: str, rounds: int) -> Row:
    """The table of a task; what was measured of the very same file before is not done again."""
    referee, folder = Referee(name), WORK / name / "files"
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text("utf-8")) if path.is_file() else {"rows": []}
    known = {row["sha256"]: row for row in before["rows"] if "sha256" in row}
    rows, files = [], {}
    for facts in sorted(folder.glob("*.json")):
        row = {"name": facts.stem, **json.loads(facts.read_text("utf-8"))}
        model = facts.with_suffix(".onnx")
        if model.is_file():
            data = files[facts.stem] = model.read_bytes()
            old = known.get(hashlib.sha256(data).hexdigest())
            row |= (
                {key: old[key] for key in MEASURED if key in old}
                if old
                else referee.judged(data)
            )
        rows.append(row)
    elsewhere = _elsewhere(before["rows"], {row["name"] for row in rows}, timed=not rounds)
    untimed = [row["name"] for row in rows if row["name"] in files and "latency" not in row]
    if rounds:
        timed = referee.timed(files, rounds)
        rows = [row | timed.get(row["name"], {}) for row in rows]
        before["machine"] = machine()
    elif untimed:
        print(f"{name}: not timed yet: {', '.join(untimed)}")
    base = referee.judged(referee.base)
    return {
        "machine": before.get("machine"),
        "title": get(name).title,
        "base": base,
        "rows": [*rows, *elsewhere],
    }


def _elsewhere(rows: Sequence[Row], here: set[str], *, timed: bool) -> list[Row]:
    """Rows of an earlier table that were made somewhere else; one sitting times all or none."""
    dropped = () if timed else TIMES
    return [
        {key: value for key, value in row.items() if key not in dropped}
        for row in rows
        if row["name"] not in here
    ]


TIMES = ("latency", "latency_range", "ms", "base_ms", "rounds")
MEASURED = (
    *("sha256", "n", "accuracy", "drop_points", "drop_ci", "bytes", "file", "zip", "xz"),
    *TIMES,
)
"""Keys of a row that the referee fills."""


KEPT = ("everything-0", "even-0", "by-hand-0")
"""Rows whose models stay in the repository, where they are small: a test measures them again."""

MOST_KEPT_BYTES = 1_000_000
SAME_LATENCY = 1.4
"""Another sitting on the same kind of processor must find a ratio within this factor."""


def keep(name: str, rows: Sequence[Row]) -> None:
    """Puts the models of such rows beside the table, and takes away those of earlier tables."""
    folder = RESULTS / name
    wanted = {
        f"{row['name']}.onnx"
        for row in rows
        if row["name"] in KEPT and row.get("bytes", MOST_KEPT_BYTES) < MOST_KEPT_BYTES
    }
    for old in folder.glob("*.onnx"):
        if old.name not in wanted:
            old.unlink()
    for model in sorted(wanted):
        made = WORK / name / "files" / model
        if made.is_file():
            folder.mkdir(exist_ok=True)
            shutil.copyfile(made, folder / model)


def lies(row: Row, judged: Row, timed: Row | None) -> list[str]:
    """Where a row of a table differs from what is found of its model now, in words.

    Bytes and accuracy must be exact. ``timed`` is left out on another kind of processor.
    """
    exact = ("sha256", "n", "accuracy", "drop_points", "bytes")
    found = [
        f"{key} is {judged[key]}, the table says {row[key]}"
        for key in exact
        if judged[key] != row[key]
    ]
    if timed:
        apart = abs(math.log(timed["latency"] / row["latency"]))
        if apart > math.log(SAME_LATENCY):
            found.append(f"it is {timed['latency']}x as fast, the table says {row['latency']}x")
    return found


def complete(rows: Sequence[Row]) -> list[Row]:
    """The rows that were judged and timed."""
    return [row for row in rows if "latency" in row and "drop_points" in row]


def hypervolume(rows: Sequence[Row]) -> float:
    """(5 - points lost) x log2 of the latency ratio x log2 of the zip ratio, of the union of all rows.

    Points gained count as none lost; a row that is slower or larger than the original adds nothing.
    """
    points = np.array(
        [
            [
                MOST_POINTS - max(0.0, row["drop_points"]),
                math.log2(row["latency"]),
                math.log2(row["zip"]),
            ]
            for row in complete(rows)
        ]
    )
    points = points[(points > 0).all(axis=1)] if len(points) else np.empty((0, 3))
    return float(HV(ref_point=np.zeros(3))(-points)) if len(points) else 0.0


def pareto(rows: Sequence[Row]) -> set[str]:
    """Names of rows that no other beats in loss, time and zip."""
    good = complete(rows)
    costs = np.array([[row["drop_points"], -row["latency"], -row["zip"]] for row in good])
    kept = front(costs) if good else np.zeros(0, dtype=np.bool_)
    return {row["name"] for row, keep in zip(good, kept, strict=True) if keep}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*names(), []])
    parser.add_argument(
        "--rounds", type=int, default=0, help="time everything anew, 40 are good"
    )
    options = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in options.names or [n for n in names() if (WORK / n / "files").is_dir()]:
        if lacks := missing(get(name)):
            print(f"{name} is skipped: {lacks}")
            continue
        if not any((WORK / name / "files").glob("*.json")):
            print(
                f"{name} is skipped: nothing was built yet. Run `python -m benchmarks.paper {name}`."
            )
            continue
        found = measure(name, options.rounds)
        keep(name, found["rows"])
        (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        print(f"{name}: {RESULTS / f'{name}.json'}")


if __name__ == "__main__":
    main()
