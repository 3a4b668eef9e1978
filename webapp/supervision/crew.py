"""The processes of this machine: kept alive, stopped in order, their jobs given back."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from webapp.filestore import StoreError
from webapp.jobs import lease, part_lease, services
from webapp.jobs.workers import forget_workers_here
from webapp.projects.stored import copies_sweep
from webapp.supervision.instance import Roster

if TYPE_CHECKING:
    from collections.abc import Callable

    from webapp.supervision.children import Child

READY_TIMEOUT_S = 60
REAP_S = 5.0
UNUSED_COPY_S = 24 * 3600.0

logger = logging.getLogger(__name__)


class StartError(Exception):
    """Something did not start; the text is for the user."""


@dataclass(slots=True, kw_only=True)
class Crew:
    """What one machine runs. The broker, where it is ours, is the first and is stopped last."""

    sweep_s: float
    children: list[Child] = field(default_factory=list)
    stopping: bool = False
    _roster: Roster = field(default_factory=lambda: Roster(settings.ADADEEP_HOME / "run"))
    _noted: list[int] = field(default_factory=list)
    _reaped: float = 0.0
    _swept: float = 0.0

    def run(self) -> None:
        """Keep everything alive until told to stop."""
        while not self.stopping:
            try:
                self._watch()
                self._keep_house()
            except (DatabaseError, OSError, StoreError) as error:
                # The next round tries again; a supervisor that dies of this would take all down.
                logger.warning("Looking after parts and jobs failed: %s", error)
                close_old_connections()
            except Exception:
                # A fault of ours in one chore; jobs and pages must not end with it.
                logger.exception("Looking after parts and jobs failed")
                close_old_connections()
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
        with contextlib.suppress(OSError):  # a full disk; the next start sees that they ended
            self._write_roster()

    def reap(self) -> None:
        """What is due every few seconds."""
        services.jobs_reap()

    def sweep(self) -> None:
        """What is due now and then."""
        services.folders_sweep(settings.LEASE_LOST_S)
        copies_sweep(UNUSED_COPY_S)

    def add(self, child: Child) -> None:
        """Start it, and keep it alive from now on."""
        child.start()
        self.children.append(child)
        self._write_roster()

    def end_leftovers(self) -> None:
        """End what an earlier run left behind."""
        if survivors := self._roster.end_leftovers():
            logger.warning("Ended %d processes that an earlier run left behind", survivors)

    def wait(self, complaint: str, is_ready: Callable[[], bool]) -> None:
        """Wait until it is so.

        Raises:
            StartError: with the complaint, and the end of the log of whatever died.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not is_ready():
            if self.stopping:
                raise StartError("Stopped while starting.")
            dead = [child for child in self.children if not child.is_running()]
            if dead or time.monotonic() > deadline:
                raise StartError("\n".join([complaint, *map(_obituary, dead)]))
            time.sleep(0.1)

    def _write_roster(self) -> None:
        pids = [child.pid for child in self.children if child.pid]
        if pids != self._noted:
            self._roster.write(pids)
            self._noted = pids

    def _watch(self) -> None:
        for child in self.children:
            child.watch()
        self._write_roster()

    def _keep_house(self) -> None:
        now = time.monotonic()
        if now - self._reaped > REAP_S:
            self._reaped = now
            self.reap()
        if now - self._swept > self.sweep_s:
            self._swept = now
            self.sweep()

    def _release_jobs(self) -> None:
        try:
            lease.release_all_here()
            part_lease.release_parts_here()
        except DatabaseError as error:
            logger.warning("Running jobs were not given back: %s", error)
        forget_workers_here()  # then: whoever hears of it sends what waits for them elsewhere


def _obituary(child: Child) -> str:
    return f"--- {child.name}, {child.log}:\n{child.log_tail()}"
