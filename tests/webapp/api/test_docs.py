"""The commands of docs/api.md, as they stand there, against the running product."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.webapp.running import ROOT, Installation, environment

TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def here(tmp_path, study_folder):
    """AdaDeep with an engine that answers at once, and what a study leaves."""
    place = tmp_path / "installation"
    place.mkdir()
    (place / "study").symlink_to(study_folder)
    with Installation(place) as installation:
        yield installation


def at_port(text, installation):
    return text.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{installation.port}")


def run(installation, folder, *command):
    """In a folder that looks like the repository, so that downloads land elsewhere."""
    for name in ("manage.py", "webapp", "selector", "compression", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(installation.home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_curl_examples_do_what_they_say(here, tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    script = "set -euo pipefail\n" + at_port("\n".join(blocks("sh")), here)
    said = run(here, folder, "bash", "-c", script)
    assert "event: end" in said
    assert '"status": "met"' in said
    assert (folder / "bundle.zip").read_bytes() == b"everything"
    assert here.call("GET", "/api/projects") == {"projects": []}


def test_python_example_does_what_it_says(here, tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    token = subprocess.run(
        [sys.executable, "manage.py", "create_token", "example"],
        cwd=ROOT,
        env=environment(here.home),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (example,) = blocks("python")
    example = example.replace("token=TOKEN", f"{token!r}, 'http://127.0.0.1:{here.port}'")
    program = f"import sys; sys.path.insert(0, 'docs')\n{example}"
    assert run(here, folder, sys.executable, "-c", program) == "done\n"
    assert (folder / "smaller.onnx").read_bytes() == b"a small network"
