from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from webapp import filestore
from webapp.jobs.models import Job
from webapp.jobs.publishing import upload_key

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_TARGET = "this-host"


def default_settings() -> dict[str, Any]:
    return {
        "goals": {"accuracy": 0.4, "latency": 0.2, "energy": 0.2, "storage": 0.2},
        "budgets": {
            "max_accuracy_drop": 1.0,
            "max_latency_ms": None,
            "max_energy_mj": None,
            "max_size_bytes": None,
        },
        "target": DEFAULT_TARGET,
        "locks": {},
    }


class Upload(models.Model):
    """A file that a user sent; its bytes lie under their SHA-256, its name is for people only."""

    project_field: ClassVar[str]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, db_index=True)
    size_bytes = models.BigIntegerField()
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> Path:
        """Where this machine keeps the bytes, if it does."""
        return settings.UPLOAD_ROOT / self.sha256[:2] / self.sha256

    @property
    def path(self) -> Path:
        """The bytes; where machines share a store they are fetched if need be.

        Raises:
            StoreError: when they are not to be had.
        """
        if filestore.is_shared() and not self.place.exists():
            filestore.get(upload_key(self.sha256), self.place)
        return self.place


class UploadedModel(Upload):
    """An ONNX file."""

    project_field = "model"


class DatasetFormat(models.TextChoices):
    NPZ = "npz"
    ZIP = "zip"


class Dataset(Upload):
    """Examples, with labels or without: arrays (npz) or class folders of images (zip)."""

    project_field = "data"

    format = models.CharField(max_length=4, choices=DatasetFormat)


UPLOAD_KINDS: dict[str, type[Upload]] = {
    kind.project_field: kind for kind in (UploadedModel, Dataset)
}


class Transfer(models.Model):
    """An upload on its way: what has come of it lies in a part of its own until it is whole.

    ``received_bytes`` grows after the bytes are on the disk, so that a killed server goes on from there.
    ``sha256`` and ``fingerprint`` are what the sender says of the file, and empty where it says nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    kind = models.CharField(max_length=5)
    name = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField()
    received_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    fingerprint = models.CharField(max_length=200, blank=True)
    upload_id = models.UUIDField(null=True)
    touched = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return settings.UPLOAD_ROOT / f"{self.pk.hex}.part"


class Study(models.Model):
    """What is known of a model with its data: found once, shared by all projects with both.

    ``key`` is the hash of everything the result depends on.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    key = models.CharField(max_length=64)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="studies")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["owner", "key"], name="one_study_a_key"),
        )

    def __str__(self) -> str:
        return self.key[:12]


class Project(models.Model):
    """A model, its data, its study, its builds, and what the person wants."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=200)
    model = models.ForeignKey(UploadedModel, on_delete=models.PROTECT)
    data = models.ForeignKey(Dataset, null=True, on_delete=models.PROTECT)
    preprocessing = models.JSONField(null=True)
    settings = models.JSONField(default=default_settings)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="projects")
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-updated",)

    def __str__(self) -> str:
        return self.name
