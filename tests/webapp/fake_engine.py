"""Stands in for ``python -m selector``: the same lines, files and exit codes, in no time.

``fake.json`` in the data folder says what a stage does otherwise: ``{"PROBE": {"exit": 1}}`` with
``exit``, ``error``, ``sleep_s``, ``deaf`` (goes on when standard input closes), ``print``, ``code``.
What a study finds is copied from the folder ``study`` beside it, and a build's report from
``report.json``, if they are there.
"""

import json
import os
import queue
import shutil
import sys
import threading
from pathlib import Path

FINISH = threading.Event()
"""Told to end early: then nothing is waited for."""

RESULTS = {
    "INSPECT": "inspect.json",
    "PROBE": "tables.npz",
    "SEARCH": "policy.npz",
    "VALIDATE": "candidates.json",
    "RECOVER": "recover.json",
    "EXPORT": "export.json",
    "MEASURE": "measure.json",
    "PACKAGE": "package.json",
}


def main() -> None:
    _, _command, stage, folder, *options, supervised = sys.argv
    assert supervised == "--supervised"
    folder = Path(folder)
    behaviour = _behaviour(folder, stage)
    say(stage, "log", data={"level": "info", "text": f"{stage} begins"})
    note("run", stage)
    if options == ["--part", "-"]:
        _do_parts(folder, stage, behaviour)
    if not behaviour.get("deaf"):
        threading.Thread(
            target=_listen, args=(queue.SimpleQueue(), False, stage), daemon=True
        ).start()
    for line in behaviour.get("print", []):
        sys.stdout.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
    exec(behaviour.get("code", ""))
    steps = max(3, round(behaviour.get("sleep_s", 0) / 0.1))
    for step in range(steps):
        say(stage, "progress", done=step, total=steps, eta_s=0.1 * (steps - step))
        say(stage, "metric", data={"step": step})
        FINISH.wait(behaviour.get("sleep_s", 0) / steps)
    _fail_if_told(stage, behaviour)
    _write_result(folder, stage)
    say(stage, "done", done=1, total=1, data={"seconds": 0.1})
    sys.exit(behaviour.get("exit", 0))


def _do_parts(folder: Path, stage: str, behaviour: dict) -> None:
    """Parts as they are told, ``part_s`` seconds each."""
    told = queue.SimpleQueue()
    threading.Thread(
        target=_listen, args=(told, behaviour.get("deaf"), stage), daemon=True
    ).start()
    while (order := told.get()) not in ("join", "end"):
        note("part", stage, order)
        exec(behaviour.get("code", ""))
        say(stage, "log", part=order, data={"level": "info", "text": f"part {order} begins"})
        FINISH.wait(behaviour.get("part_s", 0))
        _fail_if_told(stage, behaviour)
        say(stage, "done", part=order, done=1, total=1, data={"seconds": 0.1})
    if order == "join":
        _write_result(folder, stage)
        say(stage, "done", done=1, total=1, data={"seconds": 0.1})
    sys.exit(0)


def note(*words: str) -> None:
    """In the engine's log: the one place outside of its stage's folder where it may write."""
    sys.stderr.write(" ".join((*words, f"{os.getpid()}\n")))
    sys.stderr.flush()


def noted(folder: Path, kind: str) -> list[list[str]]:
    """What engines of this job noted: stage, part if any, process."""
    log = folder / "engine.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [words for first, *words in map(str.split, filter(None, lines)) if first == kind]


def _listen(told: queue.SimpleQueue, deaf: bool, stage: str) -> None:
    for line in sys.stdin:
        if line.strip() == "finish":
            note("finish", stage)
            FINISH.set()
        else:
            told.put(line.strip())
    if not deaf:
        os._exit(5)


def _fail_if_told(stage: str, behaviour: dict) -> None:
    if "error" in behaviour:
        say(stage, "error", data={"message": behaviour["error"], "code": "model_refused"})
    if behaviour.get("exit", 0) not in (0, 3, 4):
        sys.stderr.write("Traceback: the fake engine was told to fail\n")
        sys.exit(behaviour["exit"])


def say(stage: str, kind: str, **values) -> None:
    line = {"v": 1, "t": 0.0, "stage": stage, "part": "1/1", "kind": kind, **values}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _behaviour(folder: Path, stage: str) -> dict:
    path = folder.parent.parent / "fake.json"
    return json.loads(path.read_text()).get(stage, {}) if path.exists() else {}


def _write_result(folder: Path, stage: str) -> None:
    (folder / stage).mkdir(exist_ok=True)
    if stage == "PACKAGE":
        (folder / stage / "model.onnx").write_bytes(b"a small network")
        (folder / stage / "bundle.zip").write_bytes(b"everything")
        report = {**_report(folder.parent.parent), **_answered_by(folder)}
        (folder / stage / "report.json").write_text(json.dumps(report))
    found = folder.parent.parent / "study" / stage
    for path in found.iterdir() if found.is_dir() else ():
        if path.name != RESULTS[stage]:
            shutil.copyfile(path, folder / stage / path.name)
    if stage == "INSPECT":
        (folder / stage / "plan.json").write_text(json.dumps(PLAN))
    result = folder / stage / RESULTS[stage]
    scratch = result.with_suffix(".tmp")
    shutil.copyfile(found / result.name, scratch) if found.is_dir() else scratch.write_text(
        "{}"
    )
    scratch.replace(result)


def _answered_by(folder: Path) -> dict:
    """A selector that was asked for by name answers itself."""
    selector = json.loads((folder / "request.json").read_text()).get("selector", "dqn")
    if selector == "dqn":
        return {}
    return {"search": dict.fromkeys(("selector", "answered_by"), selector)}


def _report(home: Path) -> dict:
    path = home / "report.json"
    return json.loads(path.read_text()) if path.exists() else REPORT


PLAN = {
    "PROBE": {"items": 40, "rounds": [3, 1]},
    "VALIDATE": {"items": 6, "rounds": [2, 2, 2]},
    "RECOVER": {"items": 1, "rounds": [1]},
}

REPORT = {
    "status": "met",
    "target": "this-host",
    "accuracy_drop_points": 0.4,
    "ratios": {"host_latency": 1.3, "size": 20.0},
    "baseline": {"accuracy": 0.991, "size_bytes": 40000, "host_latency_ms": {"p50": 4.0}},
    "result": {"accuracy": 0.987, "size_bytes": 2000, "host_latency_ms": {"p50": 3.1}},
    "predicted": {
        name: {"baseline": 9.0, "result": 3.3, "low": 3.0, "high": 4.0, "label": "calibrated"}
        for name in ("latency_ms", "energy_mj")
    },
    "artifacts": [
        {"path": "model.int8.onnx", "primary": False},
        {"path": "model.onnx", "primary": True},
        {"path": "../../../secret_key", "primary": False},
    ],
}

if __name__ == "__main__":
    main()
