"""What was finished reads the same a year later, whatever is tidied up meanwhile."""

import json
import os
import re
import time
from datetime import timedelta

import pytest
from django.db.models import F

from tests.webapp import making
from webapp.accounts.upkeep import accounts_sweep
from webapp.jobs import services
from webapp.jobs.models import Job, JobEvent
from webapp.projects.models import Dataset, Project, UploadedModel
from webapp.projects.services import uploads_sweep
from webapp.projects.stored import copies_sweep, store_sweep
from webapp.projects.transfers import transfers_sweep
from webapp.projects.upkeep import files_sweep, projects_expire
from webapp.supervision.crew import Crew

pytestmark = pytest.mark.django_db(transaction=True)

YEAR = timedelta(days=366)
TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\"<\s]*|\d{10}\.\d+|\"t\": [\d.]+")


def told(client, job):
    """Every page and file of the job, times aside."""
    base = f"/api/jobs/{job.id}"
    paths = (base, f"{base}/events", f"{base}/figures", f"{base}/log")
    pages = (f"/jobs/{job.id}/", f"/jobs/{job.id}/result/", f"/projects/{job.project_id}/")
    texts = {path: client.get(path).content.decode() for path in (*paths, *pages)}
    found = {path: TIMES.sub("TIME", text) for path, text in texts.items()}
    # The token against forged requests is another one at each visit.
    found = {
        path: re.sub(r'csrf-token" content="[^"]*', "", text) for path, text in found.items()
    }
    for artifact in json.loads(texts[base])["artifacts"]:
        found[artifact["name"]] = b"".join(client.get(artifact["url"]))
    return found


def a_year_passes():
    """Rows and files become a year older."""
    Job.objects.update(
        **{
            name: F(name) - YEAR
            for name in ("queued", "sent", "created", "started", "finished", "heartbeat")
        }
    )
    JobEvent.objects.update(t=F("t") - YEAR)
    Project.objects.update(created=F("created") - YEAR, updated=F("updated") - YEAR)
    for kind in (UploadedModel, Dataset):
        kind.objects.update(created=F("created") - YEAR)
    then = time.time() - YEAR.total_seconds()
    for job in Job.objects.all():
        for path in (job.folder, *job.folder.rglob("*")):
            os.utime(path, (then, then), follow_symlinks=False)


def tidy_up():
    """All that a running installation does by itself."""
    services.jobs_reap()
    services.folders_sweep(0)
    copies_sweep(0)
    uploads_sweep(0)
    transfers_sweep()
    projects_expire()
    files_sweep(0)
    store_sweep(0)
    accounts_sweep()


def test_finished_build_reads_the_same_a_year_later(client, user, study_folder, work_off):
    job = making.build(user, making.studied(user, study_folder))
    work_off()
    job.refresh_from_db()
    before = told(client, job)
    assert {"model.onnx", "bundle.zip"} <= set(before)
    a_year_passes()
    tidy_up()
    assert told(client, job) == before


def test_nothing_else_is_tidied_up_by_itself():
    """Whoever adds a sweep adds it above."""
    from inspect import getsource

    from webapp.supervision.supervisor import Supervisor

    source = "".join(map(getsource, (Crew.reap, Crew.sweep, Supervisor.sweep)))
    called = set(re.findall(r"(\w+(?:_sweep|_expire|_reap))\(", source))
    assert called == set(re.findall(r"(\w+(?:_sweep|_expire|_reap))\(", getsource(tidy_up)))
