"""Kills the parts of a running AdaDeep at random moments of jobs, and looks at what became of each job.

``python -m benchmarks.faults [--runs 100] [--first 0] [--seed 0] [--out FILE]``: ``manage.py up`` with real workers, broker and web
server, and an engine that pretends, so that a job takes seconds. Every run strikes another part in another
stage; lease times are those of every installation. Prints a line of JSON a run, then the table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import redis

from compression.types import BUILD_STAGES, STUDY_STAGES
from selector.plan import PARTED_STAGES
from tests.e2e import staging
from tests.webapp.fake_engine import noted
from webapp.datafolder import broker_url

if TYPE_CHECKING:
    from tests.webapp.running import Installation

VICTIMS = ("engine", "worker child", "worker parent", "web", "broker", "supervisor", "messages")
STAGES = (*STUDY_STAGES, *BUILD_STAGES)
WAITING = ("PROBE", "RECOVER")
"""Where a job waits for a worker while the messages go, so that its own is among them."""

STAGE_S, PART_S = 1.5, 0.5
MOST_RESUME_S = 90.0
LONGEST_JOB_S = 180.0
LEASES = {"LEASE_HEARTBEAT_S": "5", "LEASE_LOST_S": "30", "REQUEUE_S": "60"}
"""Those of the settings, not the shorter ones that tests use."""


@dataclass(slots=True, kw_only=True)
class Run:
    """One job and what was done to it."""

    number: int
    victim: str
    stage: str
    moment_s: float
    resumed_s: float = 0.0
    job_s: float = 0.0
    repeated: int = 0
    faults: list[str] = field(default_factory=list)


def main() -> None:
    asked = _arguments()
    runs = []
    with tempfile.TemporaryDirectory() as home:
        running = staging.prepared(Path(home) / "home")
        running.settings.update(LEASES)
        with running:
            stages = {stage.value: {"sleep_s": STAGE_S, "part_s": PART_S} for stage in STAGES}
            running.tell_engine(**stages)
            ready = staging.studied(running, seed=10**6)
            for number in range(asked.first, asked.first + asked.runs):
                run = _planned(number, random.Random(f"{asked.seed} {number}"))  # noqa: S311 - no secret
                _do(run, running, ready)
                runs.append(run)
                line = json.dumps(asdict(run))
                print(line, flush=True)
                if asked.out:
                    with asked.out.open("a", encoding="utf-8") as file:
                        file.write(line + "\n")
    _print_table(runs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument(
        "--first", type=int, default=0, help="go on where an earlier call ended"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="append the lines to a file as well")
    return parser.parse_args()


def _planned(number: int, chance: random.Random) -> Run:
    """Every part in every stage before any pair comes again."""
    stage = STAGES[number // len(VICTIMS) % len(STAGES)]
    victim = VICTIMS[number % len(VICTIMS)]
    moment_s = chance.uniform(0, STAGE_S)
    return Run(number=number, victim=victim, stage=stage, moment_s=round(moment_s, 2))


def _do(run: Run, running: Installation, ready: str) -> None:
    if waits := run.victim == "messages" and run.stage in WAITING:
        _occupy_the_worker(run, running)
    job = _start(run, running, ready)
    folder = running.home / "jobs" / job
    if waits:
        _until(lambda: _waits_for(running, job, run.stage), 60, "the job waits")
    else:
        _until(lambda: run.stage in running.stages_run(job), 60, "the stage began")
    time.sleep(run.moment_s)
    began = time.time()
    _strike(run, running, folder)
    run.resumed_s = round(_back_after(running, job, began), 1)
    _until(
        lambda: _row(running, job)["state"] not in ("queued", "running"),
        LONGEST_JOB_S,
        "it ended",
    )
    run.job_s = round(time.time() - began, 1)
    _until(lambda: _answers(running), 60, "the web server answers")
    run.faults = [
        *_wrong_end(running, job),
        *_wrong_events(running, job),
        *_repeats(run, running, job),
        *_damage(running, job),
    ]
    if run.resumed_s > MOST_RESUME_S:
        run.faults.append(f"resumed after {run.resumed_s} s")


def _start(run: Run, running: Installation, ready: str) -> str:
    """A study of its own, or a build of the project that is studied."""
    if run.stage in STUDY_STAGES:
        return str(staging.study_of(running, staging.project(running, seed=run.number)))
    wanted = {"target": "redmi-3s", "again": True}
    job: str = running.call("POST", f"/api/projects/{ready}/builds", wanted)["job"]
    return job


def _occupy_the_worker(run: Run, running: Installation) -> None:
    other = staging.study_of(running, staging.project(running, seed=10**5 + run.number))
    _until(lambda: "PROBE" in running.stages_run(other), 60, "another job runs")


def _waits_for(running: Installation, job: str, stage: str) -> bool:
    row = _row(running, job)
    first = stage in (STUDY_STAGES[0], BUILD_STAGES[0])
    return row["state"] == "queued" and (first or row["stage"] != "")


def _strike(run: Run, running: Installation, folder: Path) -> None:
    if run.victim == "messages":
        redis.Redis.from_url(broker_url(running.home)).flushall()
    elif run.victim == "supervisor":
        family = running.family()
        running.process.kill()
        running.process.wait()
        psutil.wait_procs(family, timeout=10)
        running.start()  # as a person would, or the system's own supervisor
    else:
        os.kill(_victim(run, running, folder), signal.SIGKILL)


def _victim(run: Run, running: Installation, folder: Path) -> int:
    if run.victim == "engine":
        return _engine(folder)
    if run.victim == "web":
        return int(running.child("uvicorn").pid)
    if run.victim == "broker":
        return int(running.child("valkey-server").pid)
    queue = "quick@" if run.stage == "INSPECT" else "engine@"
    parent = running.child("celery", queue)
    return int((parent if run.victim == "worker parent" else parent.children()[0]).pid)


def _engine(folder: Path) -> int:
    """The engine process of the job, once there is one: a stage may just have ended."""

    def alive() -> list[int]:
        return [int(pid) for _, pid in noted(folder, "run") if psutil.pid_exists(int(pid))]

    _until(alive, 30, "an engine runs")
    return alive()[-1]


def _back_after(running: Installation, job: str, began: float) -> float:
    """Seconds until the engine is heard again, or the job has ended, and the web server answers."""

    def is_back() -> bool:
        ended = _row(running, job)["state"] not in ("queued", "running")
        return (ended or _heard_since(running, job, began)) and _answers(running)

    _until(is_back, 2 * MOST_RESUME_S, "the job went on")
    return time.time() - began


def _heard_since(running: Installation, job: str, began: float) -> bool:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(began + 1))
    text = "SELECT 1 FROM jobs_jobevent WHERE job_id = ? AND kind IN ('progress', 'done') AND t > ?"
    return bool(_rows(running, text, job, since))


def _wrong_end(running: Installation, job: str) -> list[str]:
    row = _row(running, job)
    stages = json.loads(row["stages"])
    unfinished = [name for name, stage in stages.items() if stage["state"] != "done"]
    faults = [f"stage {name} is {stages[name]['state']} at the end" for name in unfinished]
    return faults if row["state"] == "done" else [f"{row['state']}: {row['message']}", *faults]


def _wrong_events(running: Installation, job: str) -> list[str]:
    """Events are numbered without a gap, and each stage and part says once that it is done."""
    text = "SELECT seq, stage, part, kind FROM jobs_jobevent WHERE job_id = ? ORDER BY seq"
    events = _rows(running, text, job)
    faults = []
    if [event["seq"] for event in events] != list(range(1, _row(running, job)["last_seq"] + 1)):
        faults.append("the events' numbers have a gap")
    done = Counter((e["stage"], e["part"]) for e in events if e["kind"] == "done")
    faults += [f"{key} is done {n} times" for key, n in done.items() if n > 1]
    stages = STUDY_STAGES if _row(running, job)["kind"] == "study" else BUILD_STAGES
    faults += [f"nobody said that {s} is done" for s in stages if (s, "1/1") not in done]
    return faults


def _repeats(run: Run, running: Installation, job: str) -> list[str]:
    """One piece is done again at the most: a part where the stage has parts, else the stage."""
    again = Counter(s for s in running.stages_run(job) if s not in PARTED_STAGES)
    pieces = again + Counter(
        f"{stage} {label}"
        for stage in PARTED_STAGES
        for label, _ in running.parts_run(job, stage)
    )
    run.repeated = sum(pieces.values()) - len(pieces)
    return [f"{run.repeated} pieces were done again"] if run.repeated > 1 else []


def _damage(running: Installation, job: str) -> list[str]:
    text = "SELECT name, path, size_bytes, sha256 FROM jobs_artifact WHERE job_id = ?"
    found = _rows(running, text, job)
    faults = []
    for row in found:
        content = (running.home / "jobs" / job / row["path"]).read_bytes()
        told = hashlib.sha256(content).hexdigest(), len(content)
        if told != (row["sha256"], row["size_bytes"]):
            faults.append(f"{row['name']} is damaged")
    if _row(running, job)["kind"] == "build" and not found:
        faults.append("the build offers nothing")
    return faults


def _row(running: Installation, job: str) -> sqlite3.Row:
    (row,) = _rows(running, "SELECT * FROM jobs_job WHERE id = ?", job)
    return row


def _rows(running: Installation, text: str, job: str, *more: Any) -> list[sqlite3.Row]:
    """Read beside AdaDeep: its web server may be dead."""
    database = sqlite3.connect(f"file:{running.home / 'adadeep.sqlite3'}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    try:
        return database.execute(text, (job.replace("-", ""), *more)).fetchall()
    finally:
        database.close()


def _answers(running: Installation) -> bool:
    try:
        with urlopen(f"{running.url}/readyz", timeout=5) as answer:  # noqa: S310 - our own server
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _until(condition: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {seconds:.0f} s in vain until {what}.")
        time.sleep(0.1)


def _print_table(runs: list[Run]) -> None:
    print(
        "| killed | runs | ended right | resumed, median / longest | done again, most |\n|---|---|---|---|---|"
    )
    for victim in VICTIMS:
        mine = [run for run in runs if run.victim == victim]
        if mine:
            times = sorted(run.resumed_s for run in mine)
            right = sum(not run.faults for run in mine)
            most = max(run.repeated for run in mine)
            print(
                f"| {victim} | {len(mine)} | {right} | {times[len(times) // 2]:.0f} / {times[-1]:.0f} s | {most} |"
            )


if __name__ == "__main__":
    main()
