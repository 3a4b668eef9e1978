import json
import sys
from threading import Thread

import pytest

from tests.webapp.running import wait_for
from webapp.supervision import children
from webapp.supervision import crew as crew_module
from webapp.supervision.children import Child
from webapp.supervision.crew import Crew


class IdleCrew(Crew):
    def reap(self):
        pass

    def sweep(self):
        pass


@pytest.fixture
def child(home):
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = Child(name="child", command=sleeping, folder=home, log=home / "child.log")
    yield child
    child.stop()


@pytest.fixture
def crew(child):
    crew = IdleCrew(sweep_s=3600)
    crew.add(child)
    thread = Thread(target=crew.run)
    thread.start()
    yield crew
    crew.stopping = True
    thread.join()
    assert not thread.is_alive()


def noted(home):
    return [entry["pid"] for entry in json.loads((home / "run" / "children.json").read_text())]


def test_child_that_dies_is_started_and_noted_where_the_disk_takes_nothing_for_a_while(
    crew, child, home
):
    first = child.pid
    assert noted(home) == [first]
    (home / "run").rename(home / "away")
    child.process.kill()
    wait_for(lambda: child.pid != first and child.is_running(), 20)
    (home / "away").rename(home / "run")
    wait_for(lambda: noted(home) == [child.pid], 20)


def test_chore_with_a_fault_is_logged_with_its_trace_and_done_again(home, monkeypatch, caplog):
    class FaultyCrew(IdleCrew):
        def reap(self):
            tries.append(len(tries))
            if len(tries) > 1:
                self.stopping = True
            raise ValueError("badly formed")

    tries = []
    monkeypatch.setattr(crew_module, "REAP_S", 0.0)
    FaultyCrew(sweep_s=3600).run()
    assert len(tries) == 2
    assert "Traceback" in caplog.text
    assert "badly formed" in caplog.text


def test_long_log_is_put_aside_while_its_process_writes_on(home, monkeypatch):
    monkeypatch.setattr(children, "LARGEST_LOG_BYTES", 2000)
    counting = "import time, itertools\nfor i in itertools.count(): print(i, flush=True); time.sleep(.001)"
    child = Child(
        name="child",
        command=[sys.executable, "-c", counting],
        folder=home,
        log=home / "child.log",
    )
    child.start()
    try:
        old = home / "child.log.1"
        wait_for(lambda: child.watch() or old.exists(), 20)
        pid, last = child.pid, int(old.read_text().split()[-1])
        wait_for(lambda: str(last + 100) in child.log.read_text().split(), 20)
        assert child.pid == pid
        assert "\0" not in child.log.read_text()
    finally:
        child.stop()
