"""The parts: who may ask, port, database, broker, sandbox, engine, converters."""

from __future__ import annotations

import fcntl
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from webapp.jobs import sandbox as engine_sandbox
from webapp.jobs.workers import broker_answers
from webapp.samples.catalogue import samples
from webapp.supervision import broker as embedded
from webapp.supervision.addresses import is_free
from webapp.supervision.findings import Finding, note, ok, wrong
from webapp.supervision.parts import has_embedded_broker

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 8000
HINTS = {
    "Network": "On Linux allow user namespaces: sysctl -w user.max_user_namespaces=10000",
    "Other files": "Use Linux 5.13 or newer, with landlock among the names in /sys/kernel/security/lsm.",
}
ENGINE_TIMEOUT_S = 120
LOG_TAIL_BYTES = 400
NO_CONVERTERS = ("dev", "hosts", "tools")
"""Requirements that are no converter's."""


def exposure() -> Iterator[Finding]:
    """Settings that open more than people expect."""
    if settings.DEBUG:
        yield wrong("DEBUG is on: error pages show settings and code.", "Unset DEBUG.")
    if settings.AUTH_MODE == "local":
        yield ok("Without accounts: this machine only")
    elif settings.BEHIND_HTTPS:
        yield ok("With accounts, behind a proxy that speaks HTTPS")
    else:
        yield note(
            "With accounts, over plain HTTP: passwords can be read on the way.",
            "Beyond a network that you trust, use a proxy with HTTPS and set BEHIND_HTTPS=true.",
        )


def port() -> Iterator[Finding]:
    if where := _running():
        yield ok(f"Running: {where}")
    elif is_free("127.0.0.1", PORT):
        yield ok(f"Port {PORT} is free")
    else:
        yield note(f"Port {PORT} is taken by another program.", f"make run PORT={PORT + 1}")


def database() -> Iterator[Finding]:
    name = connection.vendor
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        yield wrong(
            f"Database ({name}) does not answer: {error}", "Start it, or mend DATABASE_URL."
        )
        return
    if name == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA quick_check(1)")
            (verdict,) = cursor.fetchone()
        if verdict != "ok":
            yield wrong(
                f"The database file is damaged: {verdict}", "Put a backup of it in its place."
            )
            return
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not pending:
        yield ok(f"Database ({name}), up to date")
    elif not executor.loader.applied_migrations:
        yield note(f"Database ({name}): empty; the first start fills it.")
    else:
        text = f"Database ({name}): {len(pending)} migrations are not applied."
        yield note(text, "The next start applies them; or now: python manage.py migrate")


def broker() -> Iterator[Finding]:
    where = "embedded" if has_embedded_broker() else "REDIS_URL"
    if broker_answers():
        yield ok(f"Broker ({where}) answers")
    elif not has_embedded_broker():
        yield wrong("Broker: nothing answers at REDIS_URL.", "Start it, or unset REDIS_URL.")
    else:
        try:
            program = embedded.program()
        except embedded.NoBrokerError as error:
            yield wrong("Broker: there is none.", str(error))
        else:
            yield ok(f"Broker (embedded): {Path(program).name}, not started")


def sandbox() -> Iterator[Finding]:
    for measure in engine_sandbox.measures():
        if measure.is_active:
            yield ok(f"Sandbox, {measure.name.lower()}: {measure.text}")
        else:
            yield note(
                f"Sandbox, {measure.name.lower()}: off; {measure.reason}.",
                HINTS.get(measure.name, ""),
            )


def engine() -> Iterator[Finding]:
    """Open a sample in the very sandbox in which jobs run."""
    sample = next(iter(samples().values()))
    arguments = ["inspect", str(sample.model), "--data", str(sample.data)]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=settings.ADADEEP_HOME / "tmp") as name:
        folder = Path(name)
        with (folder / "engine.log").open("w+b") as log:
            reach = engine_sandbox.Reach(readable=(sample.model, sample.data))
            process = engine_sandbox.start_engine(
                arguments, folder, folder / "scratch", log, reach
            )
            try:
                said, _ = process.communicate(timeout=ENGINE_TIMEOUT_S)
            finally:
                engine_sandbox.kill(process)
            log.seek(0)
            complaint = log.read()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
    if process.returncode == 0 and isinstance(json.loads(said), dict):
        yield ok(f"Engine: opened a sample in {time.monotonic() - started:.0f} s")
    else:
        yield wrong(f"Engine ended with {process.returncode}: {complaint}", "make setup")


def extras() -> Iterator[Finding]:
    """Converters are optional; half of one is not."""
    folder = Path(settings.ADADEEP_EXTRAS or settings.BASE_DIR)
    for path in sorted(settings.BASE_DIR.glob("requirements-*.txt")):
        name = path.stem.removeprefix("requirements-")
        place = folder / f".venv-{name}"
        if name in NO_CONVERTERS or not place.exists():
            continue
        if (place / ".stamp-extra").is_file() and (place / "bin" / "python").exists():
            yield ok(f"Converter {name}: installed")
        else:
            yield wrong(
                f"Converter {name}: its installation was not finished.", f"make extra-{name}"
            )


def _running() -> str:
    """Where this data folder's supervisor listens, if one runs."""
    path: Path = settings.ADADEEP_HOME / "run" / "up.lock"
    if not path.exists():
        return ""
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip()
    return ""
