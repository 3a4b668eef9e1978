"""Stands in for an engine that somebody has broken into: tries what the request says, prints what came of it."""

import ctypes
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
ATTACH, NEW_USER, OTHER_PARENT = 16, 0x10000000, 0x8000
X86 = os.uname().machine == "x86_64"
CLONE, TGKILL, PROCESS_VM_READV = (56, 234, 310) if X86 else (220, 131, 270)
IO_URING_SETUP, X32_SOCKET = 425, 0x40000000 + 41
ABOVE = os.getppid()


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def in_memory():
    """A program that lies in no file."""
    handle = os.memfd_create("program")
    os.write(handle, b"#!/bin/sh\nexit 0\n")
    started(f"/proc/self/fd/{handle}", pass_fds=[handle])


def started(*command, **options):
    subprocess.run(command, check=True, capture_output=True, timeout=20, **options)


def nest(path):
    """Folders in folders, deeper than Python counts."""
    os.chdir(path)
    for _ in range(1500):
        os.mkdir("a")  # noqa: PTH102
        os.chdir("a")


def leave():
    """A child of ours in a session of its own, which nobody would end."""
    child = os.fork()
    if not child:
        try:
            os.setsid()
        except PermissionError:
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise PermissionError(1, "Operation not permitted")


def reach(path, family=socket.AF_UNIX):
    with socket.socket(family) as door:
        door.settimeout(5)
        door.connect(path)


ATTACKS = {
    "read": lambda path: Path(path).read_bytes(),
    "list": os.listdir,
    "write": lambda path: Path(path).write_text("changed"),
    "append": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)),
    "make folder": os.mkdir,
    "delete": os.unlink,
    "truncate": lambda path: os.truncate(path, 0),
    "shorten": lambda path: os.ftruncate(os.open(path, os.O_RDWR), 1),
    "chmod": lambda path: os.chmod(path, 0o777),  # noqa: PTH101
    "open for all": lambda path: os.fchmod(os.open(path, os.O_RDONLY), 0o777),
    "touch": os.utime,
    "mark": lambda path: os.setxattr(path, "user.a", b"b"),
    "link": lambda path: os.link(path, "PROBE/linked"),
    "move in": lambda path: os.rename(path, "PROBE/moved"),  # noqa: PTH104
    "plant": lambda path: Path("PROBE/planted").symlink_to(path),
    "pipe": os.mkfifo,
    "copy": lambda path: shutil.copyfile(path, "PROBE/copied"),
    "connect": lambda port: reach(("127.0.0.1", port), socket.AF_INET),
    "connect here": reach,
    "pair": lambda _: socket.socketpair(),
    "shell": lambda _: started("/bin/sh", "-c", "true"),
    "python": lambda path: started(path, "-I", "-S", "-c", "pass"),
    "module": lambda path: started(path, "-P", "-m", "compression.errors"),
    "program in memory": lambda _: in_memory(),
    "trace": lambda _: call("ptrace", ATTACH, ABOVE, 0, 0),
    "read memory": lambda _: call("syscall", PROCESS_VM_READV, ABOVE, 0, 0, 0, 0, 0),
    "signal": lambda _: os.kill(ABOVE, 0),
    "signal all": lambda _: os.kill(-1, 0),
    "signal thread": lambda _: call("syscall", TGKILL, ABOVE, ABOVE, 0),
    "signal itself": lambda _: os.kill(os.getpid(), 0),
    "raise": lambda _: signal.raise_signal(signal.SIGCONT),
    "slow down": lambda _: os.setpriority(os.PRIO_PROCESS, ABOVE, 19),
    "move": lambda _: os.sched_setaffinity(ABOVE, {0}),
    "move itself": lambda _: os.sched_setaffinity(0, {0}),
    "watch": lambda _: call("inotify_init1", 0),
    "limit": lambda _: resource.prlimit(ABOVE, resource.RLIMIT_CORE, (0, 0)),
    "namespace": lambda _: call("unshare", NEW_USER),
    "namespace of a child": lambda _: call(
        "syscall", CLONE, NEW_USER | signal.SIGCHLD, 0, 0, 0, 0
    ),
    "parent's child": lambda _: call(
        "syscall", CLONE, OTHER_PARENT | signal.SIGCHLD, 0, 0, 0, 0
    ),
    "signal by a file": lambda _: fcntl.fcntl(0, fcntl.F_SETOWN, ABOVE),
    "which signal": lambda _: fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL),
    "lease": lambda path: fcntl.fcntl(
        os.open(path, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK
    ),
    "lock": lambda path: fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX),
    "nest": nest,
    "ring": lambda _: call("syscall", IO_URING_SETUP, 1, 0),
    "other numbers": lambda _: call("syscall", X32_SOCKET, 2, 1, 0),
    "leave": lambda _: leave(),
    "fork": lambda _: os.waitpid(os.fork() or os._exit(0), 0),
}


def outcome(name, what):
    try:
        ATTACKS[name](what)
    except OSError as error:
        return error.strerror or str(error)
    except subprocess.CalledProcessError as error:
        return f"status {error.returncode}: {error.stderr.decode()}"
    return "done"


if __name__ == "__main__":
    tries = json.loads(sys.argv[1])
    sys.stdout.write(json.dumps([outcome(name, what) for name, what in tries]))
