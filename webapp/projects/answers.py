"""The policy's answers: loaded once a study, NumPy only, milliseconds each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from webapp.projects.models import Project

NOT_READY = "Still studying this model; the sliders answer as soon as the search is through."


def selection(project: Project, wanted: dict[str, Any]) -> dict[str, Any]:
    """The recommended recipe for what a person wants."""
    raise RequestRefusedError(NOT_READY, code="not_ready", status=409)


def recipe(project: Project, wanted: dict[str, Any], config: list[int] | None) -> Any:
    raise RequestRefusedError(NOT_READY, code="not_ready", status=409)
