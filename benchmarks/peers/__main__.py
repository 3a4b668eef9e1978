"""``python -m benchmarks.peers [NAME...] [--seed 0] [--minutes 5]``: what is missing of each tool's files.

A tool that cannot be installed or fails is a row with what it said. Needs the product's study of the task
(``python -m benchmarks.paper NAME``): its split and calibration examples are shared.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.peers.arena import Arena, Offer
from benchmarks.task import WORK, get, missing, names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PEERS = {
    "onnxruntime_int8": "onnxruntime",
    "openvino_nncf": "nncf",
    "neural_compressor": "onnx-neural-compressor",
    "torch_pruning": "torch-pruning",
    "optuna_search": "optuna",
}
"""Files of this folder, and the package of each."""


def offered(arena: Arena, peer: str) -> tuple[str, dict[str, Offer]]:
    """The tool's name and its ways; a tool that cannot be imported has one that says so."""
    try:
        module = import_module(f"benchmarks.peers.{peer}")
    except ImportError as error:
        problem = error

        def fail() -> bytes:
            raise problem

        return peer, {peer.replace("_", "-"): Offer("cannot be imported", fail)}
    return str(module.TOOL), module.offers(arena)


def row(tool: str, package: str, offer: Offer, path: Path) -> dict[str, Any]:
    """Make one file; what it took, or what went wrong."""
    started, before = time.monotonic(), time.process_time()
    facts: dict[str, Any] = {"tool": tool, "group": "peer", "text": offer.text}
    try:
        facts["version"] = version(package)
    except PackageNotFoundError:
        facts["version"] = "not installed"
    try:
        path.with_suffix(".onnx").write_bytes(offer.make())
    except Exception as error:  # noqa: BLE001  # whatever a tool raises is its row
        facts["error"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    spent = {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_s": round(time.process_time() - before, 1),
    }
    return facts | {"build": spent}


def work(name: str, seed: int) -> Iterator[str]:
    """Everything that is missing, one file at a time."""
    arena, files = Arena(name, seed), WORK / name / "files"
    files.mkdir(parents=True, exist_ok=True)
    for peer, package in PEERS.items():
        tool, offers = offered(arena, peer)
        for way, offer in offers.items():
            path = files / f"peer-{way}-{seed}.json"
            if path.is_file():
                continue
            found = row(tool, package, offer, path) | {"seed": seed}
            path.write_text(json.dumps(found, indent=1), "utf-8")
            yield f"{name}: {way}, {found.get('error', 'done')}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*names(), []])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    studied = [name for name in names() if (WORK / name / f"study-{options.seed}").is_dir()]
    for name in options.names or studied:
        if lacks := missing(get(name)):
            print(f"{name} is skipped: {lacks}")
            continue
        for said in work(name, options.seed):
            print(said, flush=True)
            if time.monotonic() - started > 60 * options.minutes:
                print("Time is up; the next call goes on from here.")
                return


if __name__ == "__main__":
    main()
