"""The same study by one machine, by one again, and by two of which one is cut off, with the real engine: is what they find the same?

``python -m benchmarks.two_machines`` as root on Linux. Machines are network namespaces on one computer, which share a PostgreSQL, a
broker with a password, and a server that speaks S3; so this shows that nothing is lost, not how fast two machines are. Times
that are measured differ from run to run, and with them which pairs of changes and which candidates are worth a look: the
second run on one machine shows how far. What is the same change or the same candidate must have the same loss in all three.
``--stop-at PROBE`` ends after that stage. ``--keep FOLDER`` keeps what each study finds there and takes what is there already, so
that an hour on a busy computer can be cut in pieces.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.hosts.machines import Machine, Shared, why_not

TIMED = ("host_", "base_host_")
TELLING = ("worker", "Time is up")
"""What the log says of machines that were lost, and of a study that ran out of time, which compares nothing."""

WORKER = ("worker", "--queues", "cpu")
UP = ("up", "--workers", "0")
ONE_THREAD = {"ENGINE_THREADS": "1", "OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop-at", default="VALIDATE")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    if reason := why_not():
        raise SystemExit(f"Not here: {reason}")
    alone = _done_once("alone", 2, asked, cut=False)
    print(f"One machine: {alone.seconds:.0f} s.", flush=True)
    print("\n".join(alone.said), flush=True)
    for title, name, machines in (
        ("two machines, one of them cut off during PROBE", "cut", 3),
        ("one machine again", "again", 2),
    ):
        found = _done_once(name, machines, asked, cut=name == "cut")
        print(f"\nBeside {title}: {found.seconds:.0f} s.")
        _compare(alone, found)
        print("\n".join(found.said), flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a study left: its tables, its candidates' losses by recipe, and what its log says of lost machines and time."""

    seconds: float
    tables: dict[str, Any]
    drops: dict[tuple[int, ...], float]
    said: list[str]


def _done_once(name: str, machines: int, asked: argparse.Namespace, *, cut: bool) -> Found:
    """The study, or what was kept of it."""
    folder = asked.keep / name if asked.keep else None
    if folder and folder.exists():
        return _read(folder)
    found = _study(machines, asked.stop_at, cut=cut)
    if folder:
        _write(found, folder)
    return found


def _write(found: Found, folder: Path) -> None:
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "tables.npz", **found.tables)
    drops = [[list(config), points] for config, points in found.drops.items()]
    text = json.dumps({"seconds": found.seconds, "drops": drops, "said": found.said})
    (folder / "found.json").write_text(text, encoding="utf-8")


def _read(folder: Path) -> Found:
    kept = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    drops = {tuple(config): points for config, points in kept.pop("drops")}
    with np.load(folder / "tables.npz", allow_pickle=False) as arrays:
        return Found(tables={name: arrays[name] for name in arrays.files}, drops=drops, **kept)


def _compare(one: Found, two: Found) -> None:
    names = [name for name in one.tables if not name.startswith(TIMED)]
    other = [name for name in names if not _equal(one.tables[name], two.tables[name])]
    print(
        f"{len(names) - len(other)} of {len(names)} arrays that hold no times are the same; others: {other}"
    )
    _print_common("pairs of changes", *(_pairs(found.tables) for found in (one, two)))
    _print_common("built candidates", one.drops, two.drops)


def _print_common(
    what: str, one: dict[tuple[int, ...], float], two: dict[tuple[int, ...], float]
) -> None:
    both = one.keys() & two.keys()
    same = sum(bool(np.isclose(one[key], two[key], rtol=1e-5, atol=1e-7)) for key in both)
    print(
        f"{what}: {len(one)} and {len(two)}, {len(both)} of them in both, {same} of these with the same loss"
    )


def _pairs(tables: dict[str, Any]) -> dict[tuple[int, ...], float]:
    cells = map(tuple, tables["pair_cells"].tolist())
    return dict(zip(cells, tables["kl_pair"].tolist(), strict=True))


def _study(machines: int, stage: str, *, cut: bool) -> Found:
    """A study of the digits."""
    with tempfile.TemporaryDirectory() as folder, Shared(Path(folder)) as shared:
        started = [Machine(shared, 1, UP, **ONE_THREAD)]
        started += [Machine(shared, n, WORKER, **ONE_THREAD) for n in range(2, machines + 1)]
        with contextlib.ExitStack() as running:
            for machine in started:
                running.enter_context(machine)
                running.callback(machine.mend)  # one that is cut off takes its time to stop
            return _followed(shared, started, stage, cut=cut)


def _followed(shared: Any, machines: list[Any], stage: str, *, cut: bool) -> Found:
    main_one, begun = machines[0], time.monotonic()
    project = main_one.call("POST", "/api/samples/digits/open", {})
    job = main_one.call("GET", f"/api/projects/{project['id']}")["job"]["id"]
    done: set[str] = set()
    while stage not in done:
        state = main_one.job(job)
        if state["state"] not in ("queued", "running", "done"):
            raise SystemExit(f"The study ended as {state['state']}: {state['message']}")
        done = {row["stage"] for row in state["stages"] if row["state"] == "done"}
        if cut and state["stage"] == "PROBE" and _parts_done(shared) >= 2:
            _holder(shared, machines[1:]).cut()
            cut = False
        time.sleep(0.5)
    seconds = time.monotonic() - begun
    rows = main_one.call("GET", f"/api/jobs/{job}/events")["events"]
    texts = [row["data"].get("text", "") for row in rows if row["kind"] == "log"]
    with np.load(io.BytesIO(_stored(shared, "PROBE/tables.npz")), allow_pickle=False) as arrays:
        tables = {name: arrays[name] for name in arrays.files}
    candidates = json.loads(_stored(shared, "VALIDATE/candidates.json") or '{"candidates": []}')
    return Found(
        seconds=seconds,
        tables=tables,
        drops={tuple(row["config"]): row["drop_points"] for row in candidates["candidates"]},
        said=[text for text in texts if any(word in text for word in TELLING)],
    )


def _stored(shared: Any, path: str) -> bytes:
    """A file of the job in the store; empty if there is none."""
    found = f"SELECT key FROM jobs_jobfile WHERE path = '{path}'"  # noqa: S608 - our own words
    key = shared.cluster.sql(found).strip()
    if not key:
        return b""
    answer = shared.bucket().get_object(Bucket="adadeep", Key=f"files/{key}")
    content: bytes = answer["Body"].read()
    return content


def _parts_done(shared: Any) -> int:
    return int(
        shared.cluster.sql(
            "SELECT count(*) FROM jobs_jobpart WHERE state = 'done' AND stage = 'PROBE'"
        )
    )


def _holder(shared: Any, machines: list[Any]) -> Any:
    """The machine that holds the job, the only one there is."""
    worker = shared.cluster.sql("SELECT worker FROM jobs_job")
    return next(machine for machine in machines if worker.startswith(machine.host()))


def _equal(one: Any, two: Any) -> bool:
    if one.dtype.kind == "f":
        return bool(one.shape == two.shape and np.allclose(one, two, rtol=1e-5, atol=1e-7))
    return bool(np.array_equal(one, two))


if __name__ == "__main__":
    main()
