"""Every dependency is used, every import is a dependency, all are pinned by hash, and their licences are known."""

import ast
import re
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from docs import licences

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("manage.py", "webapp", "selector", "compression")
DATA = ROOT / "tests" / "data"
"""Scripts that made test data, each with packages of its own, said in the script."""
OURS = {"webapp", "selector", "compression", "benchmarks", "tests", "docs"}
LOCKS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("**/requirements*.lock"))
PEERS = ("benchmarks/requirements-peers.txt", "benchmarks/requirements-peers-alone.txt")
ELSEWHERE = {
    "torch": "requirements-torch.lock",
    "ncnn": "requirements-ncnn.lock",
    "ai-edge-litert": "requirements-litert.lock",
    "litert-torch": "requirements-litert.lock",
    "executorch": "requirements-executorch.lock",
}
"""Imports whose packages have a lock of their own."""

USED_BY_NAME = {
    "django-storages": "webapp/addresses.py names its S3 storage",
    "psycopg": "Django's driver for DATABASE_URL",
    "uvicorn": "supervision/parts.py starts it",
    "uvloop": "uvicorn takes it where it is",
    "websockets": "uvicorn serves sockets by it",
}
"""Dependencies that no line of the product imports, each with what asks for it."""

TOOLS = {
    "django-stubs",
    "flask",  # moto serves S3 by these two
    "flask-cors",
    "import-linter",
    "mypy",
    "pytest-asyncio",
    "pytest-django",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
}
"""What checks and tests use without importing it."""


def wanted(name):
    """The packages of a requirements file, with their versions."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    return {canonicalize_name(each.name): str(each.specifier)[2:] for each in found}


def product():
    """What AdaDeep needs on one machine or on several."""
    return wanted("requirements.txt") | wanted("requirements-hosts.txt")


def locked(name):
    """The packages of a lock with their hashes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.findall(r"^(\w[^=;\s]*)==(\S+)(.*?)(?=^\w|\Z)", text, re.MULTILINE | re.DOTALL)
    return {
        name: (version, re.findall(r"--hash=sha256:[0-9a-f]{64}\b", rest))
        for name, version, rest in entries
    }


owners_of_modules = cache(packages_distributions)


@cache
def imported(*places):
    """The packages that our code imports."""
    owners, found = owners_of_modules(), set()
    for place in places:
        path = ROOT / place
        files = [path] if path.is_file() else path.rglob("*.py")
        for file in filter(lambda file: DATA not in file.parents, files):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                found |= _top_names(node)
    foreign = found - OURS - sys.stdlib_module_names - {"_typeshed"}
    return {canonicalize_name(owner) for name in foreign for owner in owners.get(name, [name])}


def _top_names(node):
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {node.module.split(".")[0]}
    return set()


def test_every_dependency_is_used():
    assert set(product()) - imported(*PRODUCT) == set(USED_BY_NAME)
    assert set(wanted("requirements-dev.txt")) - imported("tests", "benchmarks") == TOOLS


def test_every_import_is_a_dependency():
    known = set(product()) | set(ELSEWHERE)
    names = {name.replace("_", "-") for name in imported(*PRODUCT)}
    assert names <= known
    peers = set().union(*map(wanted, PEERS))
    known |= set(wanted("requirements-dev.txt")) | peers
    assert imported("tests", "benchmarks") <= known


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes(lock):
    packages = locked(lock)
    assert packages
    assert not [name for name, (_, hashes) in packages.items() if not hashes]


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_what_is_wanted(lock):
    """Where this fails, ``make lock`` was forgotten."""
    source = ROOT / lock.replace(".lock", ".txt")
    if source.exists():
        versions = {name: version for name, (version, _) in locked(lock).items()}
        assert wanted(source.relative_to(ROOT)).items() <= versions.items()


@pytest.mark.parametrize("lock", ["requirements-dev.lock", "requirements-hosts.lock"])
def test_what_is_installed_later_replaces_nothing(lock):
    before = {name: version for name, (version, _) in locked("requirements.lock").items()}
    later = {name: version for name, (version, _) in locked(lock).items()}
    assert {name: later[name] for name in before.keys() & later.keys()} == {
        name: before[name] for name in before.keys() & later.keys()
    }


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_are_closed_and_versions_are_those_that_are_installed(lock):
    """Nothing that a package asks for is missing: pip with hashes would refuse it on a bare machine."""
    packages = locked(lock)
    known = {*packages, "torch"}
    for name, (pinned, _) in packages.items():
        try:
            assert version(name) == pinned, f"{name}: make setup-dev"
        except PackageNotFoundError:
            continue  # another system's
        needs = [Requirement(text) for text in requires(name) or ()]
        here = [
            each for each in needs if not each.marker or each.marker.evaluate({"extra": ""})
        ]
        assert {canonicalize_name(each.name) for each in here} <= known


def test_licences_of_all_packages_are_listed():
    page = licences.TARGET.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\S+) \| (\S+) \| .*\w.* \|$", page, re.MULTILINE))
    pins = licences.pinned("requirements-dev.lock") | licences.pinned("requirements-torch.lock")
    assert rows == pins | {"package": "version"}, "python docs/licences.py"
