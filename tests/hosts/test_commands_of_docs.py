"""The commands of docs/hosts.md as they stand there, between two machines."""

import re

import pytest

from tests.hosts import machines
from tests.hosts.machines import Machine, Shared
from tests.hosts.test_machines import QUICKLY, open_sample, wait_for_state

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(machines.why_not()), reason=machines.why_not() or "possible here"),
]

PAGE = (machines.ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")


def words(command):
    """Of the one line that is this command."""
    (line,) = re.findall(
        rf"^ *\.venv/bin/python manage\.py ({command}\b.*)$", PAGE, re.MULTILINE
    )
    return line.split()


@pytest.fixture
def shared(tmp_path, study_folder):
    with Shared(tmp_path, study_folder) as shared:
        yield shared


def test_documented_commands_make_machines_work_together(shared):
    told = set(re.findall(r"^ *([A-Z_]+)='", PAGE, re.MULTILINE))
    assert told == set(shared.settings()) - {"AWS_DEFAULT_REGION"}
    with (
        Machine(shared, 1, words("up"), **QUICKLY) as main,
        Machine(shared, 2, words("worker"), **QUICKLY) as other,
    ):
        _project, job = open_sample(main)
        wait_for_state(main, job, "done")
        for machine in (main, other):
            # Not whether all is well: the engine only pretends here.
            said = machine.manage("doctor")
            for what in ("Database", "Broker", "Store of files"):
                assert re.search(f"^ok +{what}", said, re.MULTILINE), said
            (workers,) = re.findall(r"^ok +Workers for engine: (.*)", said, re.MULTILINE)
            assert set(workers.split(", ")) == {main.host(), other.host()}
