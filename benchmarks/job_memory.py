"""Peak memory of a whole job, children included, stage by stage, against three times the model plus 1.5 GiB.

``python -m benchmarks.job_memory [MODEL.onnx DATA.npz|- [SECONDS]]``; without arguments a VGG-like network of
100 MB with random weights and made-up pictures. Weights and labels say nothing: only the memory counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch

from benchmarks.ratios_cifar_nets import chain

if TYPE_CHECKING:
    from torch import nn

MIB = 2**20
ALLOWED_MODELS, ALLOWED_BYTES = 3, 1536 * MIB
EVERY_S = 0.02
TIME_LIMIT_S = 60
EXAMPLES, CLASSES, INPUT = 4000, 10, (3, 32, 32)
WIDTHS = (64, 0, 128, 0, 256, 256, 0)
DENSE = (4096, 1792)


def main(model: Path, data: Path | None, seconds: int) -> int:
    """Print one JSON line; 0 when the peak is within what is allowed."""
    peaks, ended = run(model, data, seconds)
    size = model.stat().st_size
    allowed = ALLOWED_MODELS * size + ALLOWED_BYTES
    row = {
        "model": model.name,
        "model_mb": round(size / 1e6, 1),
        "exit": ended,
        "peak_mib": {stage: round(peak / MIB) for stage, peak in peaks.items()},
        "allowed_mib": round(allowed / MIB),
        "within": max(peaks.values()) <= allowed,
    }
    print(json.dumps(row))
    return int(not row["within"])


def run(model: Path, data: Path | None, seconds: int) -> tuple[dict[str, int], int]:
    """The largest resident bytes seen in each stage of ``python -m selector run``, and its exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        request: dict[str, Any] = {
            "model": str(model.resolve()),
            "data": str(data.resolve()) if data else None,
            "time_limit_s": seconds,
        }
        asked = Path(scratch, "request.json")
        asked.write_text(json.dumps(request))
        command = [
            sys.executable,
            "-m",
            "selector",
            "run",
            str(asked),
            "--out",
            f"{scratch}/job",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        watch = _Watch(process.pid)
        for line in process.stdout or ():
            watch.stage = json.loads(line)["stage"]
        ended = process.wait()
        watch.stop()
    return dict(watch.peaks), ended


class _Watch:
    """Looks at the resident memory of a process and its children, fifty times a second."""

    def __init__(self, pid: int) -> None:
        self.stage = "INSPECT"
        self.peaks: dict[str, int] = defaultdict(int)
        self._process = psutil.Process(pid)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(EVERY_S):
            try:
                family = [self._process, *self._process.children(recursive=True)]
                resident = sum(process.memory_info().rss for process in family)
            except psutil.NoSuchProcess:
                continue
            self.peaks[self.stage] = max(self.peaks[self.stage], resident)


def large_network() -> nn.Sequential:
    """Four convolutions and three wide dense layers: 100 MB of float32 weights."""
    return chain(WIDTHS, 16, (*DENSE, CLASSES))


def made_up(folder: Path) -> tuple[Path, Path]:
    """The large network as an ONNX file, and pictures of noise with labels."""
    torch.manual_seed(0)
    model, data = folder / "large.onnx", folder / "data.npz"
    torch.onnx.export(
        large_network().eval(),
        (torch.zeros(1, *INPUT),),
        model,
        dynamo=False,
        opset_version=17,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (EXAMPLES, *INPUT), dtype=np.uint8)
    np.savez(data, x=x, y=rng.integers(0, CLASSES, EXAMPLES))
    return model, data


if __name__ == "__main__":
    if len(sys.argv) > 2:
        given = None if sys.argv[2] == "-" else Path(sys.argv[2])
        limit = int(sys.argv[3]) if len(sys.argv) > 3 else TIME_LIMIT_S
        sys.exit(main(Path(sys.argv[1]), given, limit))
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(*made_up(Path(folder)), TIME_LIMIT_S))
