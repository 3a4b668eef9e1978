"""The hash of everything that the result of a study, or of a build, depends on."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from compression.technique import names

if TYPE_CHECKING:
    from webapp.projects.models import Dataset, UploadedModel


def study_key(
    model: UploadedModel, data: Dataset | None, preprocessing: dict[str, Any] | None
) -> str:
    parts = {
        "model": model.sha256,
        "data": data.sha256 if data else None,
        "preprocessing": preprocessing,
        "techniques": names(),
        "engine": engine_version(),
    }
    return _hash(parts)


def build_key(request: dict[str, Any], recipe: object, profile: str) -> str:
    """Of one study's builds. What earlier builds taught does not count: each would make the next one another."""
    return _hash(
        {
            "request": request,
            "recipe": recipe,
            "profile": profile,
            "engine": engine_version(),
        }
    )


def _hash(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def engine_version() -> str:
    """The hash of the engine's sources: a study is never taken for that of another engine."""
    digest = hashlib.sha256()
    for package in ("compression", "selector"):
        for path in sorted((Path(settings.BASE_DIR) / package).rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
