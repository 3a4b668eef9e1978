"""A machine that only works: which queues it serves, and what it needs of the main one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from webapp import filestore
from webapp.agents.tasks import DEVICE
from webapp.jobs.tasks import ENGINE, GPU, QUICK
from webapp.jobs.workers import answering_here, broker_answers, forget_workers_here
from webapp.supervision import parts
from webapp.supervision.crew import Crew, StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

TAGS = {"cpu": (QUICK, ENGINE), "gpu": (GPU,), "device": (DEVICE,)}
"""What ``--queues`` may name, and the queues of each."""

OTHER_VERSION = (
    "The database is of another version of AdaDeep. Start `manage.py up` of this version on the main machine "
    "first, then this worker."
)


@dataclass(slots=True, kw_only=True)
class WorkerHost(Crew):
    """The workers of a machine without pages. Several may work on one job; each looks after lost ones."""

    tags: Sequence[str]
    processes: int
    sweep_s: float = 60.0

    def start(self) -> None:
        """Bring the workers up.

        Raises:
            StartError: naming what is missing.
        """
        check_settings()
        self.end_leftovers()
        self.wait(
            "The broker at REDIS_URL does not answer.",
            broker_answers,
        )
        check_database()
        check_store()
        forget_workers_here()
        queues = [queue for tag in self.tags for queue in TAGS[tag]]
        environment = parts.environment(self.processes)
        for queue in queues:
            processes = self.processes if queue == ENGINE else 1
            self.add(parts.worker(queue, processes, environment))
        self.wait("The workers do not get ready.", lambda: all(map(answering_here, queues)))


def missing_settings() -> list[str]:
    """What machines share a job by, as far as it is not set."""
    needed = {
        "DATABASE_URL": settings.DATABASE_URL,
        "REDIS_URL": not parts.has_embedded_broker(),
        "STORAGE_URL": settings.STORAGE_URL,
    }
    return [name for name, value in needed.items() if not value]


def check_settings() -> None:
    """A worker of another machine shares nothing by its own data folder.

    Raises:
        StartError: naming the settings that are missing.
    """
    if missing := missing_settings():
        raise StartError(
            f"A worker on another machine needs {', '.join(missing)}, with the values that the main machine "
            "has. On one machine `manage.py up --workers N` needs none of it. See docs/hosts.md."
        )


def check_database() -> None:
    """Whether it answers, and is of this version.

    Raises:
        StartError: saying which of the two it is.
    """
    try:
        executor = MigrationExecutor(connection)
    except DatabaseError as error:
        raise StartError(f"The database at DATABASE_URL does not answer: {error}") from error
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise StartError(OTHER_VERSION)


def check_store() -> None:
    """Whether the store of files answers.

    Raises:
        StartError: saying that it does not.
    """
    try:
        filestore.prefixes("uploads")
    except filestore.StoreError as error:
        raise StartError(
            f"The store of files at STORAGE_URL does not answer: {error.__cause__}"
        ) from error
