"""What an engine process may open, as rules for Landlock; all the rest is closed to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webapp.confinement.landlock import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webapp.confinement.landlock import Rule

SOURCE = Path(__file__).resolve().parents[2]
SOURCE_PACKAGES = ("compression", "selector")
VERSION_FILE = "pyproject.toml"

SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/usr/share/crypto-policies",
)
MACHINE = (
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

# Patterns below the root. ONNX Runtime looks round for accelerators, and complains where it may not.
BUS = ("sys/bus/pci", "sys/devices/pci*")
GPU_DEVICES = "dev/nvidia*"
GPU = ("proc/driver/nvidia", "proc/devices", "sys/module/nvidia*")


def rules(options: dict[str, Any]) -> Iterator[Rule]:
    """Everything that is open, as ``options`` name it.

    Paths that may be read (``readable``), filled with files (``flat``), with folders too (``writable``), and
    environments whose programs may also be run (``converters``).
    """
    yield from _hardware()
    for path in (*SYSTEM, *MACHINE, *_python(), *_source(), *options["readable"]):
        yield path, Access.READ
    for path in options["flat"]:
        yield path, Access.READ | Access.CHANGE
    for path in options["writable"]:
        yield path, Access.READ | Access.CHANGE | Access.NEST
    for path in DEVICES:
        yield path, Access.READ_FILE | Access.WRITE_FILE
    if options["converters"]:
        yield from _converters(options["converters"])


def _python() -> list[str]:
    """Where this Python finds modules and its own library."""
    found = [path for path in sys.path if path and Path(path).resolve() != SOURCE]
    return [*found, f"{sys.base_prefix}/lib"]


def _source() -> list[str]:
    """No more of the source: settings with secrets, or the data themselves, may lie beside it."""
    return [str(SOURCE / name) for name in (*SOURCE_PACKAGES, VERSION_FILE)]


def _hardware() -> Iterator[Rule]:
    devices = _found(GPU_DEVICES)
    for path in _found(*BUS, *(GPU if devices else ())):
        yield path, Access.READ
    for path in devices:
        yield path, Access.READ | Access.WRITE_FILE | Access.IOCTL_DEV


def _found(*patterns: str) -> list[str]:
    return [str(path) for pattern in patterns for path in Path("/").glob(pattern)]


def _converters(environments: list[str]) -> Iterator[Rule]:
    """Pythons of their own: they are started, load what lies in them, and look for our package by its folder."""
    yield str(SOURCE), Access.READ_DIR
    for path in SYSTEM:
        yield path, Access.READ | Access.EXECUTE
    for environment in environments:
        python = Path(environment, "bin", "python").resolve()
        yield environment, Access.READ | Access.EXECUTE
        yield str(python), Access.READ | Access.EXECUTE
        yield str(python.parents[1] / "lib"), Access.READ | Access.EXECUTE
