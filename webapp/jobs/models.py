from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone

from compression.types import BUILD_STAGES, STUDY_STAGES, Stage
from selector.request import USUAL
from webapp.jobs import local_copies

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from django.db.models import QuerySet


class JobKind(models.TextChoices):
    STUDY = "study"
    BUILD = "build"


class JobState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    MISSED = "missed"
    INFEASIBLE = "infeasible"
    CANCELLED = "cancelled"
    FAILED = "failed"


ACTIVE = (JobState.QUEUED, JobState.RUNNING)
UNFINISHED = (*ACTIVE, JobState.PAUSED)
STOPPED = (JobState.PAUSED, JobState.CANCELLED)
DELIVERED = (JobState.DONE, JobState.MISSED, JobState.INFEASIBLE)

CAN_FINISH = (Stage.SEARCH, Stage.VALIDATE, Stage.RECOVER)
"""Stages that know a best so far, and so may be cut short."""


class Job(models.Model):
    """One study or build. The row is the truth: whoever works on it holds its lease.

    ``attempt`` is the fencing token: every claim raises it, and whatever a worker writes says which
    attempt it belongs to. ``lost`` counts the attempts whose worker went silent. ``published`` is the version
    of its stored files, where machines share a store; else 0. ``finish_requested`` outlasts the job: it says that
    the search was cut short. ``key`` is the hash of what was asked for, where an equal job is not done again. ``selector`` is who chooses a
    build's recipe.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    project = models.ForeignKey("projects.Project", null=True, on_delete=models.SET_NULL)
    study = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="builds"
    )
    kind = models.CharField(max_length=8, choices=JobKind)
    target = models.CharField(max_length=64)
    selector = models.CharField(max_length=16, default=USUAL)
    key = models.CharField(max_length=64, default="", blank=True)

    state = models.CharField(max_length=12, choices=JobState, default=JobState.QUEUED)
    stage = models.CharField(max_length=8, default="")
    stages = models.JSONField(default=dict)
    message = models.TextField(default="", blank=True)
    reference = models.CharField(max_length=16, default="", blank=True)
    cancel_requested = models.BooleanField(default=False)
    pause_requested = models.BooleanField(default=False)
    finish_requested = models.BooleanField(default=False)

    attempt = models.PositiveIntegerField(default=0)
    lost = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=200, default="", blank=True)
    heartbeat = models.DateTimeField(null=True)
    queued = models.DateTimeField(default=timezone.now)
    sent = models.DateTimeField(default=timezone.now)
    last_seq = models.PositiveIntegerField(default=0)
    published = models.PositiveIntegerField(default=0)

    created = models.DateTimeField(auto_now_add=True)
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=["state", "heartbeat"]),)

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def place(self) -> Path:
        """Where this machine keeps the job's files, if it does."""
        return settings.JOB_ROOT / str(self.id)

    @property
    def folder(self) -> Path:
        """The job's files, as new as this row. What other machines stored is fetched first.

        Raises:
            StoreError: when they are not to be had.
        """
        if self.published:
            local_copies.refresh(self.place, self.published, self._stored_since)
        return self.place

    def _stored_since(self, version: int) -> QuerySet[JobFile]:
        return self.files.filter(version__gt=version)

    @property
    def all_stages(self) -> Sequence[Stage]:
        return STUDY_STAGES if self.kind == JobKind.STUDY else BUILD_STAGES

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE


class JobFile(models.Model):
    """A file of a job in the store that machines share: where it lies in the job's folder, and in the store.

    ``version`` is the job's ``published`` at which it came.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=300)
    key = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    version = models.PositiveIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["job", "path"], name="one_stored_file_a_path"),
        )

    def __str__(self) -> str:
        return f"{self.job_id} {self.path}"


class PartState(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


class JobPart(models.Model):
    """One part of a stage that several workers share. It has a lease of its own, as a job has.

    It learns from the results of the parts up to number ``needs``: of those that are ``apart`` if it is, else of the others.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="parts")
    stage = models.CharField(max_length=8)
    number = models.PositiveIntegerField()
    count = models.PositiveIntegerField()
    needs = models.PositiveIntegerField(default=0)
    apart = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=PartState, default=PartState.WAITING)
    attempt = models.PositiveIntegerField(default=0)
    lost = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=200, default="", blank=True)
    heartbeat = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["job", "stage", "number"], name="one_part_a_number"
            ),
        )
        indexes = (models.Index(fields=["state", "heartbeat"]),)

    def __str__(self) -> str:
        return f"{self.job_id} {self.stage} {self.label}"

    @property
    def label(self) -> str:
        """As the engine calls it."""
        return f"{self.number}/{self.count}"


class JobEvent(models.Model):
    """One line of a job's log, numbered without gaps from 1."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    t = models.DateTimeField()
    stage = models.CharField(max_length=8)
    part = models.CharField(max_length=16, default="", blank=True)
    kind = models.CharField(max_length=12)
    data = models.JSONField(default=dict)
    done = models.FloatField(null=True)
    total = models.FloatField(null=True)
    eta_s = models.FloatField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["job", "seq"], name="one_event_a_number"),
        )
        ordering = ("seq",)

    def __str__(self) -> str:
        return f"{self.job_id} #{self.seq} {self.kind}"


class SharedReport(models.Model):
    """Leave to read one job's report without an account, until it ends; deleting the row revokes it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="shares")
    with_files = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()

    class Meta:
        ordering = ("-created",)

    def __str__(self) -> str:
        return f"{self.job_id} until {self.expires:%Y-%m-%d}"


class Artifact(models.Model):
    """A file that a finished job offers; ``path`` is relative to the job's folder."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="artifacts")
    name = models.CharField(max_length=200)
    path = models.CharField(max_length=300)
    format = models.CharField(max_length=20)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    primary = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["job", "name"], name="one_artifact_a_name"),
        )
        ordering = ("-primary", "name")

    def __str__(self) -> str:
        return self.name
