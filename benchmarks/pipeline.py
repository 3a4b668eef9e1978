"""Runs a sample through the public command line and confirms its report in plain ONNX Runtime."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

SAMPLES = Path(__file__).resolve().parent.parent / "webapp" / "samples"
ROUNDS = 60
Row = dict[str, Any]


def compress_sample(sample: str, *, smaller: float, faster: float, seed: int = 0) -> Row:
    """One artifact within three limits, as the report states it and as confirmed here.

    The limits are one point lost, and the size and the measured time of the original divided by
    ``smaller`` and ``faster``; within them accuracy counts for most.
    """
    folder = SAMPLES / sample
    preprocessing = tomllib.loads((folder / "sample.toml").read_text())["preprocessing"]
    request: Row = {
        "model": str(folder / "model.onnx"),
        "data": str(folder / "data.npz"),
        "preprocessing": preprocessing,
        "target": "this-host",
        "goals": {"accuracy": 0.7, "latency": 0.15, "energy": 0.0, "storage": 0.15},
        "seed": seed,
    }
    out = Path(tempfile.mkdtemp(prefix=f"adadeep-{sample}-"))
    request["budgets"] = {
        "max_accuracy_drop": 1.0,
        "max_size_bytes": int((folder / "model.onnx").stat().st_size / smaller),
        "max_latency_ms": _inspected_ms(request, out / "inspected") / faster,
    }
    (out / "wanted.json").write_text(json.dumps(request))
    started = time.monotonic()
    ended = _selector("run", out / "wanted.json", "--out", out / "job")
    seconds = time.monotonic() - started
    report = json.loads((out / "job" / "report.json").read_text())
    return {
        "sample": sample,
        "exit": ended.returncode,
        "status": report["status"],
        "seconds": round(seconds),
        "reported": {"accuracy_drop_points": report["accuracy_drop_points"]} | report["ratios"],
        "confirmed": confirm(folder, preprocessing, _artifact(out / "job", report)),
        "recipe": [
            (step["layer"], step["technique"], step["params"]) for step in report["recipe"]
        ],
        "folder": str(out / "job"),
    }


def confirm(sample: Path, preprocessing: Row, artifact: Path) -> Row:
    """Accuracy on the sample's test split, bytes and paired latency; nothing of AdaDeep is used."""
    with np.load(sample / "data.npz", allow_pickle=False) as data:
        x, y = data["x_test"].astype(np.float32), data["y_test"]
    channels = (1, -1, *[1] * (x.ndim - 2))
    mean = np.reshape(np.float32(preprocessing["mean"]), channels)
    std = np.reshape(np.float32(preprocessing["std"]), channels)
    x = (x / np.float32(preprocessing["divide"]) - mean) / std
    base, small = _session(sample / "model.onnx"), _session(artifact)
    sizes = [path.stat().st_size for path in (sample / "model.onnx", artifact)]
    ratio, base_ms = _paired_ratio(base, small, x[:1])
    return {
        "base_accuracy": _accuracy(base, x, y),
        "accuracy": _accuracy(small, x, y),
        "size_ratio": round(sizes[0] / sizes[1], 2),
        "latency_ratio": ratio,
        "base_ms": base_ms,
        "bytes": sizes[1],
    }


def _inspected_ms(request: Row, folder: Path) -> float:
    """The original's milliseconds as INSPECT shows them: what a person sets a limit from."""
    folder.mkdir()
    (folder / "request.json").write_text(json.dumps(request))
    _selector("stage", "INSPECT", folder)
    baseline = json.loads((folder / "INSPECT" / "baseline.json").read_text())
    return float(baseline["host_latency_ms"]["p50"])


def _selector(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "selector", *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def _artifact(job: Path, report: Row) -> Path:
    primary: str = next(row["path"] for row in report["artifacts"] if row.get("primary"))
    return job / primary


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path.read_bytes(), options)


def _accuracy(session: onnxruntime.InferenceSession, x: np.ndarray, y: np.ndarray) -> float:
    name = session.get_inputs()[0].name
    parts = np.array_split(x, max(1, len(x) // 250))
    logits = np.concatenate([session.run(None, {name: part})[0] for part in parts])
    return round(float((logits.argmax(1) == y).mean()), 4)


def _paired_ratio(
    base: onnxruntime.InferenceSession, small: onnxruntime.InferenceSession, x: np.ndarray
) -> tuple[float, float]:
    """Median over rounds of base time / small time, in random order in each round; base in ms."""
    order = np.random.default_rng(0)
    times: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(ROUNDS):
        for which in order.permutation(2).tolist():
            times[which].append(_burst_ms((base, small)[which], x))
    ratios = np.array(times[0][5:]) / np.array(times[1][5:])
    return round(float(np.median(ratios)), 2), round(float(np.median(times[0][5:])), 4)


def _burst_ms(session: onnxruntime.InferenceSession, x: np.ndarray, calls: int = 5) -> float:
    """The quickest of some short bursts: a long one is interrupted more often, which flatters."""
    name = session.get_inputs()[0].name
    bursts = []
    for _ in range(8):
        started = time.perf_counter()
        for _ in range(calls):
            session.run(None, {name: x})
        bursts.append((time.perf_counter() - started) / calls * 1e3)
    return min(bursts)
