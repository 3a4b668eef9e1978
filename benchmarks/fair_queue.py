"""Fifty jobs and two workers: is anybody's job kept waiting by another's?

``python -m benchmarks.fair_queue [--jobs 50]``: ``manage.py up --workers 2`` with real workers and
broker and an engine that pretends. One person queues all jobs but a few at once, then three others
queue one each. Prints in which order they came to work, how long each waited, and how many ended.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.e2e import staging

if TYPE_CHECKING:
    from datetime import datetime

LATE = 3
STAGE_S = 0.4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=50)
    count = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as folder:
        running = staging.prepared(Path(folder) / "home")
        running.workers = 2
        with running:
            running.tell_engine(SEARCH={"sleep_s": STAGE_S})
            os.environ |= {
                "ADADEEP_HOME": str(running.home),
                "DJANGO_SETTINGS_MODULE": "webapp.settings",
            }
            _print(*_queued(count))


def _queued(count: int) -> tuple[list[str], list[str]]:
    """The first person's jobs and the others', queued as pages queue them, once all have ended."""
    import django

    django.setup()
    from django.contrib.auth.models import User

    from tests.webapp import making
    from webapp.jobs.models import UNFINISHED, Job

    first, *others = (User.objects.create(username=f"person{n}") for n in range(LATE + 1))
    ids = [[str(making.project(first, seed=n).study.job.pk) for n in range(count - LATE)]]
    ids += [
        [str(making.project(other, seed=10**4 + n).study.job.pk)]
        for n, other in enumerate(others)
    ]
    while Job.objects.filter(state__in=UNFINISHED).exists():
        time.sleep(0.2)
    return ids[0], [job for late in ids[1:] for job in late]


def _print(many: list[str], late: list[str]) -> None:
    from webapp.jobs.models import Job

    rows = {str(job.pk): job for job in Job.objects.all()}
    began = _began()
    order = sorted(rows, key=lambda job: began[job])
    waits = {job: (began[job] - rows[job].created).total_seconds() for job in rows}
    done = sum(job.state == "done" for job in rows.values())
    overtaken = int((np.diff([order.index(job) for job in many]) < 0).sum())
    first, last = min(waits.values()), max(waits.values())
    print(f"{done} of {len(rows)} jobs done; waited {first:.1f} to {last:.1f} s.")
    print(f"Of one person's {len(many)}, {overtaken} began before one that was queued earlier.")
    for job in late:
        place = order.index(job) + 1
        print(f"Queued behind {len(many)}: began as number {place}, after {waits[job]:.1f} s.")


def _began() -> dict[str, datetime]:
    """When the jobs first came to long work; inspection is quick and has a worker of its own."""
    from django.db.models import Min

    from webapp.jobs.models import JobEvent

    events = JobEvent.objects.filter(stage="PROBE").values("job_id").annotate(began=Min("t"))
    return {str(row["job_id"]): row["began"] for row in events}


if __name__ == "__main__":
    main()
