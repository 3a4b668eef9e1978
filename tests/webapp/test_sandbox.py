"""An engine that runs an attacker's code, in the very sandbox in which jobs run."""

import json
import os
import socket
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from compression.types import Stage
from webapp.confinement import landlock, seccomp
from webapp.jobs import sandbox

ATTACKER = Path(__file__).parent / "attacker.py"
ROOT = Path(__file__).resolve().parents[2]

if sys.platform != "linux" or landlock.unavailable() or seccomp.unavailable():
    pytest.skip("this kernel has not what these tests are about", allow_module_level=True)


@pytest.fixture(params=["own network", "no namespaces"])
def isolation(request, monkeypatch):
    """With what ``unshare`` gives, and without."""
    if request.param == "no namespaces":
        monkeypatch.setattr(sandbox, "network_isolation", lambda: ())


@pytest.fixture
def job(home, settings):
    """The folder of a job in the middle of PROBE, with an upload linked in."""
    settings.ENGINE_COMMAND = [sys.executable, str(ATTACKER)]
    settings.ENGINE_READABLE = []
    folder = home / "jobs" / "mine"
    for name in ("INSPECT", "PROBE"):
        (folder / name).mkdir(parents=True)
    upload = home / "uploads" / "bytes"
    upload.write_text("a model")
    os.link(upload, folder / "model.onnx")
    (folder / "INSPECT" / "inspect.json").write_text("{}")
    return folder


@pytest.fixture
def secret(home):
    other = home / "jobs" / "other"
    other.mkdir()
    (other / "secret").write_text("theirs")
    return other / "secret"


def attack(folder, *tries, stage=Stage.PROBE):
    """What came of each attempt, in order."""
    with (folder / "engine.log").open("w+b") as log:
        process = sandbox.start_engine(
            [json.dumps(tries)],
            folder,
            folder / "tmp",
            log,
            sandbox.Reach.of_stage(folder, stage),
        )
        said, _ = process.communicate(timeout=60)
        log.seek(0)
        assert process.returncode == 0, log.read().decode()
    return dict(zip((name for name, _ in tries), json.loads(said), strict=True))


DENIED = ("Permission denied", "Operation not permitted")


def not_denied(found):
    return {name: what for name, what in found.items() if what not in DENIED}


def test_what_a_stage_needs_is_open(job, isolation):
    found = attack(
        job,
        ("read", str(job / "model.onnx")),
        ("write", str(job / "PROBE" / "result")),
        ("shorten", str(job / "PROBE" / "result")),
        ("list", str(job)),
        ("copy", str(job / "INSPECT" / "inspect.json")),
        ("make folder", str(job / "tmp" / "more")),
        ("append", "/dev/null"),
        ("fork", None),
        ("signal itself", None),
        ("raise", None),
        ("move itself", None),
    )
    assert set(found.values()) == {"done"}, found


def test_sources_are_compiled_for_the_engine_which_cannot_keep_its_own(job):
    sandbox._compile_sources.cache_clear()
    attack(job)
    assert Path(cache_from_source(str(ROOT / "selector" / "engine.py"))).exists()


@pytest.mark.parametrize("place", ["job", "data", "machine", "process"])
def test_files_of_others_cannot_be_read(job, secret, home, isolation, place):
    database = home / "adadeep.sqlite3"
    database.write_text("everything")
    files = {
        "job": [secret],
        "data": [database, home / "uploads" / "bytes"],
        "machine": ["/etc/passwd", "/etc/hostname", ROOT / "manage.py", "/bin/sh"],
        "process": [f"/proc/{os.getpid()}/environ", f"/proc/{os.getpid()}/cmdline"],
    }
    for path in files[place]:
        assert Path(path).read_bytes()
        assert not_denied(attack(job, ("read", str(path)))) == {}, path


def test_folders_of_others_are_not_even_listed(job, home):
    for path in (home, home / "jobs", "/", "/tmp", "/proc", "/dev/shm"):
        assert not_denied(attack(job, ("list", str(path)))) == {}, path


def test_nothing_outside_is_changed(job, secret, home, isolation):
    tries = [
        ("write", str(home / "new")),
        ("append", str(secret)),
        ("truncate", str(secret)),
        ("delete", str(secret)),
        ("chmod", str(secret)),
        ("touch", str(secret)),
        ("mark", str(secret)),
        ("nest", str(home / "jobs")),
        ("pipe", str(job / "PROBE" / "pipe")),
        ("make folder", str(job / "PROBE" / "folder")),
    ]
    assert not_denied(attack(job, *tries)) == {}
    assert secret.read_text() == "theirs"


def test_folders_in_folders_do_not_hinder_whoever_cleans_up(job):
    assert attack(job, ("nest", str(job / "tmp")))["nest"] == "done"
    assert attack(job, ("write", str(job / "tmp" / "b")))["write"] == "done"
    assert [path.name for path in (job / "tmp").iterdir()] == ["b"]


def test_inputs_that_other_jobs_share_stay_as_they_are(job, home):
    inputs = str(job / "model.onnx")
    assert (
        not_denied(attack(job, ("append", inputs), ("truncate", inputs), ("chmod", inputs)))
        == {}
    )
    assert not_denied(attack(job, ("open for all", inputs))) == {}
    assert not_denied(attack(job, ("write", str(job / "INSPECT" / "inspect.json")))) == {}
    assert attack(job, ("move in", inputs))["move in"] != "done"
    assert attack(job, ("link", inputs))["link"] != "done"
    assert (home / "uploads" / "bytes").read_text() == "a model"


def test_link_planted_in_the_folder_leads_nowhere(job, secret, isolation):
    link = job / "PROBE" / "link"
    link.symlink_to(secret)
    (job / "PROBE" / "folder").symlink_to(secret.parent)
    found = attack(
        job, ("read", str(link)), ("append", str(link)), ("list", f"{link.parent}/folder")
    )
    assert not_denied(found) == {}
    assert not_denied(attack(job, ("plant", str(secret)))) == {}


def test_network_and_sockets_of_the_machine_are_out_of_reach(job, home, isolation):
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(home / "run" / "b"))
        local.listen()
        found = attack(
            job,
            ("connect", tcp.getsockname()[1]),
            ("connect here", str(home / "run" / "b")),
            ("pair", None),
        )
    assert not_denied(found) == {}


def test_no_program_is_started(job, isolation):
    found = attack(
        job, ("shell", None), ("python", sys.executable), ("program in memory", None)
    )
    assert not_denied(found) == {}


def test_processes_outside_are_out_of_reach(job, isolation):
    tries = (
        *("trace", "read memory", "limit", "slow down", "move"),
        *("signal", "signal all", "signal thread", "signal by a file", "which signal"),
    )
    found = attack(job, *((name, None) for name in tries))
    assert not_denied(found) == {}


def test_ways_round_the_list_of_calls_are_closed(job):
    tries = ("namespace", "namespace of a child", "parent's child", "ring", "leave", "watch")
    files = ((name, str(job / "model.onnx")) for name in ("lease", "lock"))
    found = attack(job, *((name, None) for name in tries), *files)
    assert not_denied(found) == {}
    if os.uname().machine == "x86_64":
        assert attack(job, ("other numbers", None))["other numbers"] != "done"


def test_converters_are_started_and_nothing_else(job, settings, tmp_path):
    settings.ADADEEP_EXTRAS = str(tmp_path)
    environment = tmp_path / ".venv-litert"
    (environment / "bin").mkdir(parents=True)
    (environment / ".stamp-extra").touch()
    python = environment / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    found = attack(job, ("python", str(python)), ("module", str(python)), stage=Stage.PACKAGE)
    assert set(found.values()) == {"done"}, found
    found = attack(
        job, ("shell", None), ("read", "/bin/sh"), ("pair", None), stage=Stage.PACKAGE
    )
    assert not_denied(found) == {}
    assert not_denied(attack(job, ("python", str(python)))) == {}


def test_what_holds_is_tried_and_all_of_it_holds_here(home):
    sandbox.tried.cache_clear()
    late = "" if landlock.version() >= landlock.TCP_SINCE else "Linux has it from 6.7 on"
    held = dict.fromkeys(("files", "signals", "calls", "privileges"), "")
    assert sandbox.tried() == {**held, "ports": late}


def run_with(script, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-P", "-c", script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


WITHOUT_LANDLOCK = """
import os, sys
from webapp.confinement import kernel, seccomp
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
seccomp.install({"landlock_create_ruleset": (444, 444)}, {})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_engine_runs_without_landlock_too_and_it_is_said_why(home, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "network_isolation", lambda: ())
    command = [sys.executable, str(sandbox.TRIAL), str(ROOT / "manage.py")]
    _, *options = sandbox.locked(command, sandbox.Reach(), tmp_path)
    found = json.loads(run_with(WITHOUT_LANDLOCK, *options))
    why = "the container that AdaDeep runs in forbids Landlock"
    assert (found["files"], found["ports"]) == (why, why)
    assert (found["calls"], found["signals"], found["privileges"]) == ("", "", "")


LANDLOCK_ALONE = """
import socket, sys
from webapp.confinement import kernel, landlock
kernel.forgo_privileges()
landlock.restrict([])
for address in (("127.0.0.1", int(sys.argv[1])), "\\0" + sys.argv[2]):
    door = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    try:
        door.connect(address)
    except PermissionError:
        print("denied")
"""


@pytest.mark.skipif(landlock.version() < landlock.SCOPES_SINCE, reason="Linux 6.12")
def test_landlock_alone_closes_ports_and_abstract_sockets():
    name = f"adadeep-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0{name}")
        local.listen()
        said = run_with(LANDLOCK_ALONE, str(tcp.getsockname()[1]), name)
    assert said.split() == ["denied", "denied"]


def test_machine_whose_calls_are_not_known_is_said(monkeypatch):
    monkeypatch.setattr(seccomp, "MACHINES", {})
    assert seccomp.unavailable() == f"the list of calls is not known for {os.uname().machine}"
