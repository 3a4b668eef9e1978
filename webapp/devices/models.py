from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

OWN = "own-"
"""What the name of a user's own device begins with, where it is a target."""


class Means(models.TextChoices):
    """By what a device is measured."""

    BROWSER = "browser"
    AGENT = "agent"
    KIT = "kit"


class OwnDevice(models.Model):
    """A device that a user measures: private to its owner unless shared.

    ``prior`` is the device of the catalogue whose profile it starts from; ``profile`` is the calibrated
    one, text in the form of the catalogue's files, empty until something usable was measured.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    title = models.CharField(max_length=100)
    prior = models.CharField(max_length=64)
    runtime = models.CharField(max_length=60)
    threads = models.PositiveIntegerField(default=1)
    arithmetic = models.CharField(max_length=8, default="fp32")
    means = models.CharField(max_length=8, choices=Means)
    profile = models.TextField(default="", blank=True)
    shared = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)
    measured = models.DateTimeField(null=True)

    class Meta:
        ordering = ("title", "created")

    def __str__(self) -> str:
        return self.title

    @property
    def key(self) -> str:
        """Its name as a target."""
        return f"{OWN}{self.id.hex}"


class Pairing(models.Model):
    """A link by which one other browser may see one page for its owner; only hashes are kept.

    ``paired`` is when it was opened: it is good once.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    page = models.CharField(max_length=100)
    token_sha256 = models.CharField(max_length=64, unique=True)
    secret_sha256 = models.CharField(max_length=64, default="", blank=True, db_index=True)
    created = models.DateTimeField(auto_now_add=True)
    paired = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.page


class Measurement(models.Model):
    """One graph or network timed on a device; the runs are kept as they came, for ever.

    ``title`` is the name for people. ``features`` are those of what was timed, resolved when it came, so that
    a project may be deleted later. ``refused`` says why the runs are set aside; empty where they count.
    """

    device = models.ForeignKey(OwnDevice, on_delete=models.CASCADE, related_name="measurements")
    created = models.DateTimeField(auto_now_add=True)
    name = models.CharField(max_length=200)
    title = models.CharField(max_length=300)
    runs_ms = models.JSONField()
    features = models.JSONField(default=list)
    environment = models.JSONField(default=dict)
    refused = models.TextField(default="", blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.title
