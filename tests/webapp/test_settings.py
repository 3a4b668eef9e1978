import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from webapp import datafolder

ROOT = Path(__file__).resolve().parents[2]


def names_in(path):
    return set(re.findall(r'env\.\w+\(\s*"(\w+)"', path.read_text()))


def test_example_file_names_every_setting():
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#?\s?([A-Z_]+)=", example, re.MULTILINE))
    assert names_in(ROOT / "webapp" / "settings.py") == named


def test_all_faults_are_reported_at_once(tmp_path):
    environment = {
        **os.environ,
        "ADADEEP_HOME": str(tmp_path),
        "ENGINE_THREADS": "many",
        "LEASE_LOST_S": "soon",
    }
    command = [sys.executable, "-c", "import webapp.settings"]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "ENGINE_THREADS" in run.stderr
    assert "LEASE_LOST_S" in run.stderr


@pytest.mark.parametrize(("mode", "gib"), [("local", 0), ("accounts", 20)])
def test_with_accounts_one_person_has_a_quota_by_default(tmp_path, mode, gib):
    environment = {**os.environ, "ADADEEP_HOME": str(tmp_path), "AUTH_MODE": mode}
    environment.pop("USER_QUOTA_BYTES", None)
    command = "import webapp.settings as it; print(it.USER_QUOTA_BYTES)"
    said = subprocess.check_output([sys.executable, "-c", command], cwd=ROOT, env=environment)
    assert int(said) == gib * 1024**3


def test_secret_key_is_made_once_and_ours_alone(tmp_path):
    key = datafolder.secret_key(tmp_path)
    assert len(key) > 50
    assert datafolder.secret_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert not list(tmp_path.glob("tmp*"))


@pytest.mark.parametrize("depth", [1, 30])
def test_socket_path_is_never_too_long(tmp_path, depth):
    home = tmp_path.joinpath(*["folder"] * depth)
    url = datafolder.broker_url(home)
    assert len(os.fsencode(url.removeprefix("unix://"))) < 108
