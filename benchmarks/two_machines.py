"""The same study by one machine and by two of which one is cut off, with the real engine: is what they find the same?

``python -m benchmarks.two_machines`` as root on Linux. Machines are network namespaces on one computer, which share a PostgreSQL, a
broker with a password, and a server that speaks S3; so this shows that nothing is lost, not how fast two machines are. What is timed
differs from run to run and is left out of the comparison. ``--stop-at PROBE`` ends after that stage.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.hosts.machines import Machine, Shared, why_not

TIMED = ("host_", "base_host_")
WORKER = ("worker", "--queues", "cpu")
UP = ("up", "--workers", "0")
ONE_THREAD = {"ENGINE_THREADS": "1", "OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop-at", default="VALIDATE")
    stage = parser.parse_args().stop_at
    if reason := why_not():
        raise SystemExit(f"Not here: {reason}")
    alone, alone_s, _ = _study(2, stage, cut=False)
    shared, shared_s, said = _study(3, stage, cut=True)
    kinds = [name for name in alone if not name.startswith(TIMED)]
    other = [name for name in kinds if not _equal(alone[name], shared[name])]
    print(
        f"One machine {alone_s:.0f} s; two, one of them cut off during PROBE, {shared_s:.0f} s."
    )
    print(f"{len(kinds) - len(other)} of {len(kinds)} arrays are the same; others: {other}")
    print("\n".join(said))


def _study(machines: int, stage: str, *, cut: bool) -> tuple[dict[str, Any], float, list[str]]:
    """The tables of a study of the digits, its seconds, and what its log says of lost machines."""
    with tempfile.TemporaryDirectory() as folder, Shared(Path(folder)) as shared:
        started = [Machine(shared, 1, UP, **ONE_THREAD)]
        started += [Machine(shared, n, WORKER, **ONE_THREAD) for n in range(2, machines + 1)]
        try:
            for machine in started:
                machine.__enter__()
            return _followed(shared, started, stage, cut=cut)
        finally:
            for machine in reversed(started):
                machine.mend()  # one that is cut off takes its time to stop
                machine.__exit__()


def _followed(
    shared: Any, machines: list[Any], stage: str, *, cut: bool
) -> tuple[dict[str, Any], float, list[str]]:
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
    found = "SELECT key FROM jobs_jobfile WHERE path = 'PROBE/tables.npz'"
    key = shared.cluster.sql(found).strip()
    content = shared.bucket().get_object(Bucket="adadeep", Key=f"files/{key}")["Body"].read()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        tables = {name: arrays[name] for name in arrays.files}
    return tables, seconds, [text for text in texts if "worker" in text.lower()]


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
