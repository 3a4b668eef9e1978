"""The tests of the web tier, once more on PostgreSQL. What holds transactions together is run always."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHORT = "test_projects.py", "test_parts.py"


def on(cluster, home, *arguments):
    """The test command's end and last lines."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "not slow",
            "-p",
            "no:cacheprovider",
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": cluster.url, "ADADEEP_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout[-6000:]


def test_projects_and_shared_stages_on_postgresql(cluster, tmp_path):
    code, said = on(cluster, tmp_path, *(f"tests/webapp/{name}" for name in SHORT))
    assert code == 0, said


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_everything_on_postgresql(cluster, tmp_path):
    code, said = on(cluster, tmp_path, "tests/webapp")
    assert code == 0, said
