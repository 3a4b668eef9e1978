"""The folder where everything of this installation lives; nothing here needs Django."""

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

LONGEST_SOCKET_PATH = 100
"""The kernel allows 107 bytes; a little is left for what clients append."""


def data_folder(setting: str) -> Path:
    """The data folder with its sub-folders, readable by its owner alone."""
    home = Path(setting).expanduser().absolute()
    for folder in (home, home / "uploads", home / "jobs", home / "run", home / "tmp"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def discard(folder: Path) -> None:
    """Delete a folder, even one whose folders somebody has nested deeper than Python counts."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        subprocess.run(["rm", "-rf", "--", folder], check=False)  # noqa: S603, S607


def secret_key(home: Path) -> str:
    """The installation's own key, made at the first start."""
    path = home / "secret_key"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=home)  # mkstemp makes it mode 600
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
        # A link is made whole or not at all, and never over a key that another process just made.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        Path(temporary).unlink()
    return path.read_text(encoding="ascii")


def this_host(home: Path) -> str:
    """The name of this machine among those that share jobs; two may have the same host name."""
    path = home / "host"
    if not path.exists():
        with contextlib.suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(4))
    return f"{socket.gethostname()}-{path.read_text(encoding='ascii')}"


def broker_url(home: Path) -> str:
    """Address of the embedded broker: a socket in the data folder, or near it when that is too long."""
    return f"unix://{broker_folder(home) / 'broker.sock'}"


def broker_folder(home: Path) -> Path:
    """Where the broker's socket lies."""
    folder = home / "run"
    if len(os.fsencode(folder / "broker.sock")) <= LONGEST_SOCKET_PATH:
        return folder
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"adadeep-{os.getuid()}-{digest}"
