"""Starts the parts in order, keeps them alive, brings lost jobs back, stops in reverse order."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, close_old_connections

from webapp.accounts.upkeep import accounts_sweep
from webapp.agents.tasks import DEVICE, send_reap
from webapp.jobs import lease, part_lease, services
from webapp.jobs.workers import broker_answers
from webapp.projects.services import uploads_sweep
from webapp.projects.transfers import transfers_sweep
from webapp.projects.upkeep import files_sweep, projects_expire
from webapp.supervision import broker, health, parts
from webapp.supervision.addresses import from_here
from webapp.supervision.instance import Roster

if TYPE_CHECKING:
    from collections.abc import Callable

    from webapp.supervision.children import Child

READY_TIMEOUT_S = 60
REAP_S = 5.0
SWEEP_S = 3600.0
ORPHANED_UPLOAD_S = 24 * 3600.0

logger = logging.getLogger(__name__)


class StartError(Exception):
    """Something did not start; the text is for the user."""


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """The running installation."""

    host: str
    port: int
    engine_workers: int
    children: list[Child] = field(default_factory=list)
    stopping: bool = False
    _roster: Roster = field(default_factory=lambda: Roster(settings.ADADEEP_HOME / "run"))
    _reaped: float = 0.0
    _swept: float = 0.0

    def start(self) -> None:
        """Bring everything up and wait until it answers.

        Raises:
            StartError: naming the part that does not run, with the end of its log.
        """
        run_folder = settings.ADADEEP_HOME / "run"
        if survivors := self._roster.end_leftovers():
            logger.warning("Ended %d processes that an earlier run left behind", survivors)
        for sign in run_folder.glob("worker-*"):
            sign.unlink()
        if parts.has_embedded_broker():
            self._add(broker.embedded_broker(settings.ADADEEP_HOME, parts.log_path("broker")))
        self._wait("The broker does not answer.", broker_answers)
        call_command("migrate", verbosity=0, interactive=False)
        environment = parts.environment(self.engine_workers)
        self._add(parts.worker("quick", 1, environment, DEVICE))
        self._add(parts.worker("engine", self.engine_workers, environment))
        # While the workers start; anew each time, so that none is left of another version.
        call_command("collectstatic", verbosity=0, interactive=False, clear=True)
        self._add(parts.web(self.host, self.port, environment))
        self._wait("AdaDeep does not get ready.", self._is_healthy)
        self._send_what_waits()

    def run(self) -> None:
        """Keep everything alive until told to stop."""
        while not self.stopping:
            self._watch()
            self._keep_house()
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop the broker last, and give back the jobs that were running."""
        clients = [child for child in self.children if child.name != "broker"]
        for child in clients:
            child.ask_to_stop()
        for child in clients:
            child.stop()
        self._release_jobs()
        for child in self.children:
            child.stop()
        self.children.clear()
        self._roster.write([])

    def _add(self, child: Child) -> None:
        child.start()
        self.children.append(child)
        self._write_roster()

    def _write_roster(self) -> None:
        self._roster.write([child.pid for child in self.children if child.pid])

    def _watch(self) -> None:
        restarted = [child.name for child in self.children if child.watch()]
        if restarted:
            self._write_roster()

    def _wait(self, complaint: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not is_ready():
            if self.stopping:
                raise StartError("Stopped while starting.")
            dead = [child for child in self.children if not child.is_running()]
            if dead or time.monotonic() > deadline:
                raise StartError("\n".join([complaint, *map(_obituary, dead)]))
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        answer = health.web_health(from_here(self.host), self.port)
        return answer is not None and answer.get("status") == "ok"

    def _keep_house(self) -> None:
        now = time.monotonic()
        try:
            if now - self._reaped > REAP_S:
                self._reaped = now
                services.jobs_reap()
                send_reap(REAP_S)
            if now - self._swept > SWEEP_S:
                self._swept = now
                services.folders_sweep(settings.LEASE_LOST_S)
                uploads_sweep(ORPHANED_UPLOAD_S)
                transfers_sweep()
                projects_expire()
                files_sweep(ORPHANED_UPLOAD_S)
                accounts_sweep()
        except (DatabaseError, OSError) as error:
            # The next round tries again; a supervisor that dies of this would take all down.
            logger.warning("Looking after the jobs failed: %s", error)
            close_old_connections()

    def _send_what_waits(self) -> None:
        services.jobs_reap()
        services.jobs_send_waiting()

    def _release_jobs(self) -> None:
        try:
            lease.release_all_here()
            part_lease.release_parts_here()
        except DatabaseError as error:
            logger.warning("Running jobs were not given back: %s", error)


def _obituary(child: Child) -> str:
    return f"--- {child.name}, {child.log}:\n{child.log_tail()}"
