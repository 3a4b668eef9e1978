"""Tries, from inside the lock, what the lock should forbid; says of each in JSON why it is open, if it is.

``start.py OPTIONS trial.py CLOSED``: the file CLOSED can be read by anybody who is not locked in.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

from webapp.confinement import kernel, landlock, seccomp

ALLOWED = "the kernel allows it all the same"


def main() -> None:
    found = {
        "files": _files(sys.argv[1]),
        "ports": _since(landlock.TCP_SINCE, "6.7"),
        "signals": _signals(),
        "calls": _calls(),
        "privileges": ALLOWED if kernel.has_privileges() else "",
    }
    sys.stdout.write(json.dumps(found))


def _files(closed: str) -> str:
    try:
        Path(closed).read_bytes()
    except PermissionError:
        return ""
    return landlock.unavailable() or ALLOWED


def _signals() -> str:
    try:
        os.kill(os.getppid(), 0)
    except PermissionError:
        return ""
    return _since(landlock.SCOPES_SINCE, "6.12") or ALLOWED


def _calls() -> str:
    try:
        socket.socket().close()
    except PermissionError:
        return ""
    return seccomp.unavailable() or ALLOWED


def _since(version: int, linux: str) -> str:
    if reason := landlock.unavailable():
        return reason
    return "" if landlock.version() >= version else f"Linux has it from {linux} on"


if __name__ == "__main__":
    main()
