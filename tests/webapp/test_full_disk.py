"""A disk that runs full in the middle of a job, and is emptied again."""

import os
import subprocess
import time
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.e2e import staging
from tests.webapp.running import wait_for

SIZE_MB = 64

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can make a small disk"),
]


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", place], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(place):
    """A file that takes what is left, to the last byte."""
    path = place / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return path


def answers(here):
    """Whether the web server says how it is, well or not."""
    try:
        urlopen(f"{here.url}/healthz", timeout=10).close()
    except HTTPError as answer:
        return answer.code == 503
    except (URLError, OSError):
        return False
    return True


def test_job_goes_on_when_there_is_room_again(small_disk):
    here = staging.prepared(small_disk / "home")
    here.settings["UPLOAD_SPARE_BYTES"] = "1000000"
    with here:
        here.tell_engine(PROBE={"part_s": 2})
        study = staging.study_of(here, staging.project(here))
        here.wait_for_stage(study, "PROBE")
        filler = fill(small_disk)
        time.sleep(8)  # leases run out, log lines have no room, the broker takes no message
        wait_for(lambda: answers(here), 60)
        with pytest.raises(KeyError):  # refused: it gets no id
            staging.project(here, seed=1)
        filler.unlink()
        wait_for(lambda: here.job(study)["state"] in ("done", "failed"), 90)
        job = here.job(study)
        if job["state"] == "failed":  # the engine found no room: said so, and good to go on
            assert job["message"]
            here.call("POST", f"/api/jobs/{study}/retry", {})
            here.wait_for_state(study, "done")
        events = here.call("GET", f"/api/jobs/{study}/events")["events"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        staging.studied(here, seed=2)
