"""Everything the studio page shows, as far as the study has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webapp.devices.queries import device_json, devices_json
from webapp.projects.queries import project_row, study_json

if TYPE_CHECKING:
    from webapp.projects.models import Project


def studio_json(project: Project, target: str | None) -> dict[str, Any]:
    return {
        "project": {**project_row(project), "settings": project.settings},
        "study": study_json(project),
        "model": None,
        "targets": devices_json(),
        "target": device_json(target or project.settings["target"]),
        "layers": [],
        "techniques": {},
        "baseline": None,
        "best_log2": None,
        "candidates": [],
        "bands": None,
        "figure": None,
        "selection": None,
    }
