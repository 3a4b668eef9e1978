"""Which agent works on which task: like the lease of a job, one row a task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from webapp.agents.models import OPEN, DeviceTask, TaskState
from webapp.jobs.models import DELIVERED

if TYPE_CHECKING:
    from uuid import UUID

    from webapp.agents.models import Agent

LONGEST_TASK_S = 900.0
"""An agent that beats but never ends is stuck, or waits for a device that sleeps."""


class TaskGoneError(Exception):
    """Another attempt owns the task now; whatever this one still sends must not be written."""


@dataclass(frozen=True, slots=True)
class TaskLease:
    """The right of a device's agent to work on a task, as one numbered attempt."""

    device_id: UUID
    task_id: UUID
    attempt: int

    @property
    def rows(self) -> Any:
        """The task's row, as long as it is this attempt's."""
        return DeviceTask.objects.filter(
            pk=self.task_id,
            device=self.device_id,
            attempt=self.attempt,
            state=TaskState.LEASED,
        )

    def task(self) -> DeviceTask:
        """The task.

        Raises:
            TaskGoneError: when it belongs to another attempt, has ended, or is of another device.
        """
        found: DeviceTask | None = self.rows.first()
        if found is None:
            raise TaskGoneError(str(self.task_id))
        return found

    def write(self, **fields: Any) -> None:
        """Change the task.

        Raises:
            TaskGoneError: as above.
        """
        if not self.rows.update(**fields):
            raise TaskGoneError(str(self.task_id))

    def beat(self) -> None:
        """Say that this attempt is alive."""
        self.write(heartbeat=timezone.now())

    def finish(
        self, state: TaskState, *, result: dict[str, Any] | None = None, message: str = ""
    ) -> None:
        """End the task."""
        self.write(state=state, result=result, message=message, finished=timezone.now())

    def is_done(self) -> bool:
        """Whether this very attempt has sent its result already, whatever came of it."""
        return DeviceTask.objects.filter(
            pk=self.task_id,
            device=self.device_id,
            attempt=self.attempt,
            state__in=(TaskState.DONE, TaskState.FAILED),
        ).exists()


def task_claim(agent: Agent) -> DeviceTask | None:
    """The oldest task that waits for this device, or ``None``. One of a build waits for the build."""
    now = timezone.now()
    waiting = DeviceTask.objects.filter(
        Q(job=None) | Q(job__state__in=DELIVERED),
        device=agent.device_id,
        state=TaskState.WAITING,
        deadline__gt=now,
    )
    for task in waiting.order_by("created"):
        claimed = DeviceTask.objects.filter(
            pk=task.pk, state=TaskState.WAITING, attempt=task.attempt
        ).update(state=TaskState.LEASED, attempt=F("attempt") + 1, heartbeat=now, leased=now)
        if claimed:
            task.refresh_from_db()
            return task
    return None


def lost_tasks() -> list[DeviceTask]:
    """Leased tasks whose agent went silent, or measures for longer than any task lasts."""
    now = timezone.now()
    return list(
        DeviceTask.objects.filter(
            Q(heartbeat__lt=now - timedelta(seconds=settings.LEASE_LOST_S))
            | Q(leased__lt=now - timedelta(seconds=LONGEST_TASK_S)),
            state=TaskState.LEASED,
        )
    )


def take_back(task: DeviceTask, reason: str, *, counts: bool = True) -> TaskState | None:
    """Let the agent try again, or fail the task after its last attempt; ``None`` if it moved on.

    ``counts`` is false where the agent said goodbye: that is no fault of the task.
    """
    lost = task.lost + counts
    failed = lost >= settings.LEASE_ATTEMPTS
    state = TaskState.FAILED if failed else TaskState.WAITING
    # The heartbeat in the condition: an agent that was only slow and has just beaten keeps its task.
    changed = DeviceTask.objects.filter(
        pk=task.pk, attempt=task.attempt, state=TaskState.LEASED, heartbeat=task.heartbeat
    ).update(
        state=state,
        # Raised here too, so that nothing the old attempt still sends can land.
        attempt=F("attempt") + 1,
        lost=lost,
        message=f"Tried {lost} times. {reason}" if failed else reason,
        finished=timezone.now() if failed else None,
    )
    return state if changed else None


def give_up(tasks: Any, message: str) -> None:
    """End those of the tasks that are not done; what an agent still sends for them is dropped."""
    tasks.filter(state__in=OPEN).update(
        state=TaskState.GIVEN_UP, message=message, finished=timezone.now()
    )
