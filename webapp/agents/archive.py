"""The agent as one file that Python runs: the modules of ``webapp/devices/agent`` in a zip."""

import hashlib
import io
import shlex
import zipfile
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from webapp.devices.agent.protocol import ARCHIVE

PACKAGE = Path("webapp/devices/agent")
START = """import sys

if sys.version_info < (3, 9):
    sys.exit("The agent needs Python 3.9 or newer; this is " + sys.version.split()[0] + ".")

from webapp.devices.agent.__main__ import main

sys.exit(main())
"""
LONG_AGO = (1980, 1, 1, 0, 0, 0)


@cache
def agent_archive() -> bytes:
    """The same bytes from the same sources, so that their hash can be the agent's version."""
    buffer = io.BytesIO(b"#!/usr/bin/env python3\n")
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in _files().items():
            archive.writestr(
                zipfile.ZipInfo(name, LONG_AGO), content, compress_type=zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


@cache
def agent_version() -> str:
    return hashlib.sha256(agent_archive()).hexdigest()[:12]


def agent_url(request: HttpRequest) -> str:
    """Where the agent is to be had, by the name under which this server was asked."""
    return request.build_absolute_uri(reverse("agent-archive"))


def agent_commands(request: HttpRequest, token: str) -> list[str]:
    """What to run on the device: fetch the agent, then start it."""
    server = request.build_absolute_uri("/").rstrip("/")
    return [
        f"curl -fO {shlex.quote(agent_url(request))}",
        f"python3 {ARCHIVE} --server {shlex.quote(server)} --token {token}",
    ]


def _files() -> dict[str, str]:
    outer = [parent / "__init__.py" for parent in reversed(PACKAGE.parents) if parent.name]
    sources = sorted((settings.BASE_DIR / PACKAGE).glob("*.py"))
    return {
        "__main__.py": START,
        **{str(path): "" for path in outer},
        **{str(PACKAGE / path.name): path.read_text(encoding="utf-8") for path in sources},
    }
