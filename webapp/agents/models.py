from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone


class Agent(models.Model):
    """What the agent of a device is known by, and what it last said of itself.

    Only the token's hash is kept. ``session`` is that of the run that introduced itself last: an
    agent that was started twice must not measure for one device on two machines.
    """

    device = models.OneToOneField(
        "devices.OwnDevice", on_delete=models.CASCADE, related_name="agent"
    )
    sha256 = models.CharField(max_length=64, unique=True)
    session = models.CharField(max_length=32, default="", blank=True)
    version = models.CharField(max_length=12, default="", blank=True)
    facts = models.JSONField(default=dict)
    seen = models.DateTimeField(null=True)
    created = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"Agent of {self.device_id}"


class TaskKind(models.TextChoices):
    CALIBRATE = "calibrate"
    VALIDATE = "validate"
    FINALISTS = "finalists"


class TaskState(models.TextChoices):
    WAITING = "waiting"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    GIVEN_UP = "given up"


OPEN = (TaskState.WAITING, TaskState.LEASED)


class DeviceTask(models.Model):
    """Something to be measured on a device. The row is the truth; an agent holds a lease on it.

    ``attempt`` is the fencing token: every claim raises it, and whatever an agent sends says which
    attempt it belongs to. ``lost`` counts attempts that went silent or sent what cannot be used. A
    task that nobody took until its ``deadline`` is given up.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(
        "devices.OwnDevice", on_delete=models.CASCADE, related_name="tasks"
    )
    job = models.ForeignKey(
        "jobs.Job", null=True, on_delete=models.CASCADE, related_name="device_tasks"
    )
    kind = models.CharField(max_length=10, choices=TaskKind)
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=TaskState, default=TaskState.WAITING)
    attempt = models.PositiveIntegerField(default=0)
    lost = models.PositiveIntegerField(default=0)
    heartbeat = models.DateTimeField(null=True)
    leased = models.DateTimeField(null=True)
    deadline = models.DateTimeField()
    message = models.TextField(default="", blank=True)
    result = models.JSONField(null=True)
    created = models.DateTimeField(default=timezone.now)
    finished = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=["state", "heartbeat"]),)
        ordering = ("-created",)

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
