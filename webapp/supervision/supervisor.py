"""Starts the parts of the main machine in order, and looks after what belongs to all machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management import call_command

from webapp.accounts.upkeep import accounts_sweep
from webapp.agents.tasks import DEVICE, send_reap
from webapp.jobs import services
from webapp.jobs.tasks import ENGINE, QUICK
from webapp.jobs.workers import broker_answers, forget_workers_here
from webapp.projects.services import uploads_sweep
from webapp.projects.stored import everything_share, store_sweep
from webapp.projects.transfers import transfers_sweep
from webapp.projects.upkeep import files_sweep, projects_expire
from webapp.supervision import broker, health, parts
from webapp.supervision.addresses import from_here
from webapp.supervision.crew import REAP_S, Crew, StartError

if TYPE_CHECKING:
    import socket

__all__ = ["StartError", "Supervisor"]

ORPHANED_UPLOAD_S = 24 * 3600.0


@dataclass(slots=True, kw_only=True)
class Supervisor(Crew):
    """The running installation. ``listener`` is where browsers knock; all web processes answer there."""

    host: str
    port: int
    listener: socket.socket
    engine_workers: int
    web_processes: int = 1
    sweep_s: float = 3600.0

    def start(self) -> None:
        """Bring everything up and wait until it answers.

        Raises:
            StartError: naming the part that does not run, with the end of its log.
        """
        self.end_leftovers()
        if parts.has_embedded_broker():
            self.add(broker.embedded_broker(settings.ADADEEP_HOME, parts.log_path("broker")))
        self.wait("The broker does not answer.", broker_answers)
        forget_workers_here()
        call_command("migrate", verbosity=0, interactive=False)
        everything_share()
        environment = parts.environment(self.engine_workers)
        self.add(parts.worker(QUICK, 1, environment, DEVICE))
        if self.engine_workers:
            self.add(parts.worker(ENGINE, self.engine_workers, environment))
        # While the workers start; anew each time, so that none is left of another version.
        call_command("collectstatic", verbosity=0, interactive=False, clear=True)
        for number in range(1, self.web_processes + 1):
            self.add(parts.web(number, self.host, self.listener, environment))
        self.wait("AdaDeep does not get ready.", self._is_healthy)
        self._send_what_waits()

    def reap(self) -> None:
        """What is due every few seconds."""
        services.jobs_reap()
        send_reap(REAP_S)

    def sweep(self) -> None:
        """What is due once an hour."""
        Crew.sweep(self)
        uploads_sweep(ORPHANED_UPLOAD_S)
        transfers_sweep()
        projects_expire()
        files_sweep(ORPHANED_UPLOAD_S)
        store_sweep(ORPHANED_UPLOAD_S)
        accounts_sweep()

    def _is_healthy(self) -> bool:
        answer = health.web_health(from_here(self.host), self.port) or {}
        elsewhere = set() if self.engine_workers else {"status", "worker_engine"}
        return bool(answer) and all(
            answer[part] for part in answer.keys() - elsewhere - {"network_isolation", "status"}
        )

    def _send_what_waits(self) -> None:
        services.jobs_reap()
        services.jobs_send_waiting()
