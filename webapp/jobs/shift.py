"""A worker's turn at a stage that is done in parts: which part comes next, and who may say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webapp.jobs import part_lease, publishing
from webapp.jobs.events import append

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webapp.jobs.events import Line
    from webapp.jobs.inbox import Inbox
    from webapp.jobs.lease import Lease, Stop
    from webapp.jobs.models import Job
    from webapp.jobs.part_lease import PartLease

JOIN, END = "join", "end"


@dataclass(slots=True, kw_only=True)
class Shift:
    """One engine process that is handed parts, as long as there are any.

    The ``lead`` is the job's own worker: it joins the parts, whoever did them. The others help, and
    leave when nothing waits any more.
    """

    job: Job
    stage: str
    lead: Lease | None = None
    part: PartLease | None = None
    _told: str = ""

    def beat(self) -> None:
        """Say that this worker is alive: about the job, and about the part."""
        if self.lead is not None:
            self.lead.beat()
        if self.part is not None:
            self.part.beat()

    def stop_requested(self) -> Stop | None:
        """What the user asked for, if anything."""
        holder = self.lead or self.part
        return holder.stop_requested() if holder else None

    def store(self, lines: Sequence[Line]) -> None:
        """Put what the engine said into the log."""
        holder = self.part or self.lead
        if holder:
            append(holder, lines)

    def save(self) -> None:
        """Let other machines have what the engine has left so far."""
        holder = self.part or self.lead
        if holder:
            publishing.publish(self.job, holder)

    def next_order(self, inbox: Inbox) -> str | None:
        """What to tell the engine now, if anything: a part, or how it ends."""
        if self.part is not None and inbox.finished == self.part.label:
            self.store(inbox.take_all())
            self.save()
            self.part.finish()
            self.part, self._told = None, ""
        if self._told:
            return None
        self._told = self._choice() or ""
        return self._told or None

    def restart(self) -> None:
        """The part in hand is told again, to another engine process."""
        self._told = ""

    def release(self) -> None:
        """Leave an unfinished part to others."""
        if self.part is not None:
            self.part.give_back()

    def _choice(self) -> str | None:
        if self.part is None:
            self.part = part_lease.claim_part(
                self.job.pk, self.stage, is_lead=self.lead is not None
            )
            if self.part is not None:
                publishing.bring(self.job, self.part)
        if self.part is not None:
            return self.part.label
        if self.lead is not None:
            return self._join(self.lead)
        return None if part_lease.waiting_parts(self.job.pk, self.stage) else END

    def _join(self, lead: Lease) -> str | None:
        """Join the parts once all are done, and here."""
        if not part_lease.all_parts_done(self.job.pk, self.stage):
            return None
        publishing.bring(self.job, lead)
        return JOIN


def helper(job: Job, stage: str) -> Shift | None:
    """A shift beside the job's own worker; ``None`` when there is nothing to help with."""
    part = part_lease.claim_part(job.pk, stage, is_lead=False)
    if part is None:
        return None
    publishing.bring(job, part)
    return Shift(job=job, stage=stage, part=part)
