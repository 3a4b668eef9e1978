"""Two sides together: their layers matched, what to choose from, and which two when nobody chose."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from webapp.comparison.charts import comparison_figures
from webapp.comparison.sides import ORIGINAL, RECOMMENDED, build_title, side_json
from webapp.devices.queries import devices_json
from webapp.jobs import knowledge
from webapp.jobs.models import DELIVERED, Job, JobKind
from webapp.jobs.queries import target_title
from webapp.projects.models import Project
from webapp.projects.queries import chosen_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.contrib.auth.models import User

    Layer = dict[str, Any]
    Side = dict[str, Any]

MOST_PROJECTS, MOST_BUILDS = 20, 20

TREATMENT = ("technique", "level", "stored")


def comparison_json(*, owner: User, a: str, b: str = "") -> dict[str, Any]:
    """Both sides, the pairs of their layers, and curves laid over each other.

    Without ``b`` stands against ``a`` the newest other build of its project, else what is recommended there,
    else the original.

    Raises:
        RequestRefusedError: when a side cannot be compared.
    """
    first = side_json(owner=owner, name=a)
    second = side_json(owner=owner, name=b or _against(first))
    return {
        "a": first,
        "b": second,
        "pairs": matched(first["layers"], second["layers"]),
        "is_same_model": first["model_sha256"] == second["model_sha256"],
        "techniques": _techniques(owner, first, second),
        "figures": comparison_figures(owner, first, second),
    }


def matched(first: Sequence[Layer], second: Sequence[Layer]) -> list[dict[str, Any]]:
    """The layers of both in one order: ``a`` and ``b`` are places in each, ``None`` where one has none.

    Layers of one name belong together. ``same`` says that both do the same to it.
    """
    names = [layer["layer"] for layer in first], [layer["layer"] for layer in second]
    blocks = SequenceMatcher(None, *names, autojunk=False).get_matching_blocks()
    pairs: list[dict[str, Any]] = []
    at_a = at_b = 0
    for block in blocks:
        pairs += [{"a": i, "b": None, "same": False} for i in range(at_a, block.a)]
        pairs += [{"a": None, "b": j, "same": False} for j in range(at_b, block.b)]
        pairs += [
            {
                "a": block.a + i,
                "b": block.b + i,
                "same": _is_same(first[block.a + i], second[block.b + i]),
            }
            for i in range(block.size)
        ]
        at_a, at_b = block.a + block.size, block.b + block.size
    return pairs


def _is_same(one: Layer, other: Layer) -> bool:
    return all(one[key] == other[key] for key in TREATMENT)


def newest_name(*, owner: User) -> str:
    """The recipe that is recommended in the newest project that is ready; empty when there is none."""
    ready = next((project for project in _projects(owner) if _is_ready(project)), None)
    return f"{ready.id}@{chosen_target(ready).name}" if ready else ""


def choices_json(*, owner: User) -> dict[str, Any]:
    """What can be chosen, by project; recipes may be put on any device."""
    projects = [project for project in _projects(owner) if _is_ready(project)]
    return {
        "projects": [
            {
                "id": str(project.id),
                "name": project.name,
                "target": chosen_target(project).name,
                "builds": [_build_choice(job) for job in _builds(project)],
            }
            for project in projects
        ],
        "devices": [
            {key: row[key] for key in ("name", "title", "family")}
            for row in devices_json(owner)
        ],
    }


def _build_choice(job: Job) -> dict[str, str]:
    return {
        "name": str(job.id),
        "title": build_title(job, target_title(job)),
    }


def _projects(owner: User) -> list[Project]:
    found = Project.objects.filter(owner=owner).select_related("study__job", "model")
    return list(found[:MOST_PROJECTS])


def _is_ready(project: Project) -> bool:
    job = project.study.job
    return job is not None and knowledge.has_policy(job)


def _builds(project: Project) -> list[Job]:
    builds = Job.objects.filter(project=project, kind=JobKind.BUILD, state__in=DELIVERED)
    return list(builds.order_by("-created")[:MOST_BUILDS])


def _against(side: Side) -> str:
    name: str = side["name"]
    project = (
        Project.objects.filter(pk=side["project"]["id"]).first() if side["project"] else None
    )
    if project is None:
        return name
    others = [str(build.id) for build in _builds(project) if str(build.id) != name]
    recommended = f"{project.id}@{side['target']['name']}"
    if others:
        return others[0]
    return f"{recommended}@{ORIGINAL}" if side["title"] == RECOMMENDED else recommended


def _techniques(owner: User, *sides: Side) -> dict[str, Any]:
    """The looks of all techniques that the studies know."""
    found: dict[str, Any] = {}
    for side in sides:
        job = Job.objects.filter(pk=side["study"], owner=owner).first()
        inspected = knowledge.inspection(job) if job else None
        found |= knowledge.techniques_json(inspected) if inspected else {}
    return found
