"""Becomes the engine: limits first, then the lock, then the program; run by path.

``python -P start.py OPTIONS -m MODULE ARGUMENT ...``, or a FILE in place of ``-m MODULE``. The lock is closed from
inside and in the very process that goes on: nothing has to be started any more, so nothing can be.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from typing import Any

from webapp import launch
from webapp.confinement import kernel, landlock, seccomp
from webapp.confinement.reach import SOURCE_PACKAGES, rules


def main() -> None:
    options: dict[str, Any] = json.loads(sys.argv[1])
    program = sys.argv[2:]
    launch.restrain(options)
    if sys.platform == "linux":
        lock(options)
    run(program)


def lock(options: dict[str, Any]) -> None:
    """Forgo whatever the kernel lets a process forgo; what it has no means for is left out."""
    for name in SOURCE_PACKAGES:
        importlib.import_module(name)  # the folder they are found in is closed afterwards
    kernel.forgo_privileges()
    if not landlock.unavailable():
        landlock.restrict(rules(options))
    if not seccomp.unavailable():
        forbid_calls(converts=bool(options["converters"]))


def forbid_calls(*, converts: bool) -> None:
    """A converter is a program of its own that may have to be stopped, and some copy files with their modes."""
    calls, about_itself = seccomp.ALWAYS, seccomp.ABOUT_ITSELF_ALWAYS
    if not converts:
        calls = calls | seccomp.UNLESS_CONVERTING
        about_itself = about_itself | seccomp.ABOUT_ITSELF_UNLESS_CONVERTING
    seccomp.install(calls, about_itself)


def run(program: list[str]) -> None:
    """Go on as that program."""
    if program[0] == "-m":
        sys.argv = program[1:]
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = program
        runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    main()
