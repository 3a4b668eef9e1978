"""Starts another program with limits, tied to its parent's life; run by path, needs nothing.

``python -I -S launch.py '{"parent": 1, "death_signal": 9, "limits": {"CORE": 0}}' PROGRAM ...``
A wrapper and not ``preexec_fn``, which is unsafe in a process with threads, and which would run
before ``unshare`` changes credentials and so clears the death signal again.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1


def main() -> None:
    restrain(json.loads(sys.argv[1]))
    os.execvpe(sys.argv[2], sys.argv[2:], os.environ)  # noqa: S606 - the command is ours


def restrain(options: dict[str, Any]) -> None:
    """Set this process's limits, and let it end with its parent."""
    for name, value in options.get("limits", {}).items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (ceiling, ceiling))
    # Background jobs of a non-interactive shell inherit these as ignored.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, options["death_signal"])
    if os.getppid() != options["parent"]:
        sys.exit("The parent is gone already.")


if __name__ == "__main__":
    main()
