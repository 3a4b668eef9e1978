"""A data folder with the tables of an early version goes on with those of today."""

import subprocess
import sys

import pytest

from tests.e2e import staging
from tests.webapp.running import ROOT, command

pytestmark = pytest.mark.slow

# In this order: what others need goes last.
BACK_TO_THE_FIRST = """
from django.core.management import call_command
for app, name in (
    ("agents", "zero"),
    ("devices", "zero"),
    ("accounts", "zero"),
    ("jobs", "0002"),
    ("projects", "0001"),
):
    call_command("migrate", app, name, verbosity=0)
"""


def migrate_back(here):
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", BACK_TO_THE_FIRST],
        cwd=ROOT,
        env=command(here.home)["env"],
        timeout=120,
        check=True,
    )


def told(here, project, job):
    """What pages show of them, but for the time that has passed."""
    row = here.job(job)
    files = {file["name"]: file["sha256"] for file in row["artifacts"]}
    events = here.call("GET", f"/api/jobs/{job}/events")["events"]
    studio = here.call("GET", f"/api/projects/{project}/studio")
    return row["state"], row["stages"], files, events, sorted(studio)


def test_installation_with_the_first_tables_is_upgraded_at_its_start(tmp_path):
    here = staging.prepared(tmp_path / "place")
    with here:
        project = staging.studied(here)
        job = staging.built(here, project)
        before = told(here, project, job)
    migrate_back(here)
    with here:
        assert here.call("GET", "/readyz")["migrations"] is True
        assert told(here, project, job) == before
        assert staging.built(here, project) != job
        staging.studied(here, seed=1)
