"""What an assistant can do: a tool is a function over the same services, with the API's own types."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404
from django.urls import reverse
from pydantic import Field, ValidationError

from compression.errors import CompressionError
from selector.errors import SelectorError
from webapp.api import schemas
from webapp.api.errors import NOTHING
from webapp.api.projects import made_project
from webapp.devices.queries import devices_json
from webapp.jobs.outcome import measured_outcome
from webapp.jobs.queries import job_get, job_json, report_get
from webapp.projects import answers, builds, queries, services
from webapp.projects.studio import head_json
from webapp.requests import UserRequest
from webapp.responses import RequestRefusedError
from webapp.samples.catalogue import samples_json
from webapp.samples.services import sample_open

Json = dict[str, Any]
Work = Callable[[UserRequest, Any], Json]

REFUSALS = (RequestRefusedError, CompressionError, SelectorError, Http404, ValidationError)

FACTS = (
    *("status", "stopped_by", "created", "model_name", "data_name", "target", "target_title"),
    *("baseline", "result", "accuracy_drop_points", "accuracy_drop_ci_points"),
    *("agreement_with_original", "ratios", "ratio_ranges", "limits", "predicted", "recipe"),
    *("skipped", "notes"),
)
"""Of a report; its layers, classes and examples are in the file."""


class Nothing(schemas.Question):
    pass


class OfProject(schemas.Question):
    project: UUID = Field(description="id of a project")


class OfJob(schemas.Question):
    job: UUID = Field(description="id of a study or a build")


class NewProject(schemas.ProjectChoices):
    sample: str | None = Field(default=None, description="name of a sample; or else a model")
    model: UUID | None = Field(default=None, description="id of an uploaded model")


class Choice(schemas.Choice, OfProject):
    pass


class NewBuild(schemas.NewBuild, OfProject):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    title: str
    text: str
    arguments: type[schemas.Question]
    changes: bool
    work: Work

    def described(self) -> Json:
        """As a client is told."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.text,
            "inputSchema": self.arguments.model_json_schema(),
            "annotations": {
                "readOnlyHint": not self.changes,
                "destructiveHint": False,
                "openWorldHint": False,
            },
        }

    def call(self, request: Any, arguments: object) -> Json:
        """What the tool answers.

        Raises:
            REFUSALS: with a sentence for whoever asked.
        """
        return self.work(request, self.arguments.model_validate(arguments))


TOOLS: dict[str, Tool] = {}


def tool(
    title: str, arguments: type[schemas.Question], text: str, *, changes: bool = False
) -> Callable[[Work], Work]:
    """Enter the function below as a tool of its own name."""

    def entered(work: Work) -> Work:
        name = work.__name__
        TOOLS[name] = Tool(
            name=name, title=title, text=text, arguments=arguments, changes=changes, work=work
        )
        return work

    return entered


def sentence(error: BaseException) -> str:
    """What is wrong, in words."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}."
    return str(error) or NOTHING


@tool(
    "Devices",
    Nothing,
    "The devices that a network can be made for, with what predictions for them rest on (label) and how far those "
    "may be off (band). this-host is the computer that AdaDeep runs on.",
)
def devices(request: UserRequest, _: Nothing) -> Json:
    return {"devices": devices_json(request.user)}


@tool("Samples", Nothing, "Networks with data that AdaDeep brings along.")
def samples(_request: UserRequest, _: Nothing) -> Json:
    return {"samples": samples_json()}


@tool(
    "Projects",
    Nothing,
    "All projects, the newest first, each with its newest job and newest result.",
)
def projects(request: UserRequest, _: Nothing) -> Json:
    return {"projects": queries.project_rows(owner=request.user)}


@tool(
    "New project",
    NewProject,
    "Make a project of a sample, or of an uploaded model and its data. Its study starts by itself and takes from half "
    "a minute for a small network to an hour for a deep one; job in the answer has its id.",
    changes=True,
)
def project_create(request: UserRequest, said: NewProject) -> Json:
    if said.sample:
        return queries.project_row(sample_open(owner=request.user, name=said.sample))
    if said.model is None:
        raise RequestRefusedError("Name a sample, or the id of an uploaded model.")
    return made_project(request, said.model, said)


@tool(
    "A project's figures",
    OfProject,
    "What is known of a project: its model with measured accuracy, size and time, how far its study is, and its "
    "builds. Without labels, accuracy is agreement with the original; accuracy_words says so.",
)
def project_figures(request: UserRequest, said: OfProject) -> Json:
    found = queries.project_get(owner=request.user, project_id=said.project)
    head = head_json(found, queries.chosen_target(found))
    parts = (
        "project",
        "study",
        "model",
        "builds",
        "target",
        "target_notes",
        "prediction_check",
    )
    return {name: head[name] for name in parts}


@tool(
    "The recommended recipe",
    Choice,
    "The best recipe for a device under goals (four weights) and limits, layer by layer, with what it is predicted to "
    "give. Answers within a second once the study has come to SEARCH; builds nothing.",
)
def recommend(request: UserRequest, said: Choice) -> Json:
    found = queries.project_get(owner=request.user, project_id=said.project)
    wanted = _wanted(said)
    config = wanted.pop("config", None)
    checked = services.checked_settings(wanted, owner=request.user)
    return answers.selection(found, checked, config)


@tool(
    "Build a recipe",
    NewBuild,
    "Build the recommended recipe, or the one that config names: fine-tuned, exported, measured. Takes minutes; id in "
    "the answer is the job to ask for. An equal build that is there already is not made twice: the note says so. "
    "selector lets another method find the recipe during the build: classic is AdaDeep as published.",
    changes=True,
)
def build_start(request: UserRequest, said: NewBuild) -> Json:
    found = queries.project_get(owner=request.user, project_id=said.project)
    asked = builds.build_start(project=found, values=_wanted(said))
    return {**job_json(asked.job), "note": asked.note}


@tool(
    "A job's state",
    OfJob,
    "How far a study or a build is: its state (queued, running, paused, done, missed, infeasible, failed, cancelled), "
    "its stages, and the seconds that are left (eta). Ask again every ten seconds or so. Builds that missed a limit, or "
    "for which none could be met (infeasible), have a result too.",
)
def job_state(request: UserRequest, said: OfJob) -> Json:
    return job_json(job_get(owner=request.user, job_id=said.job))


@tool(
    "A build's result",
    OfJob,
    "What a finished build gave, measured, beside the original and what was predicted. on_target says each figure "
    "for the device, with its band and how it is known.",
)
def result(request: UserRequest, said: OfJob) -> Json:
    report = report_get(job_get(owner=request.user, job_id=said.job))
    facts = {name: report[name] for name in FACTS if name in report}
    return {**facts, "on_target": measured_outcome(report)}


@tool(
    "A build's files",
    OfJob,
    "The addresses of a finished build's files, with size and SHA-256. A program sends its token along "
    "(Authorization: Bearer); people open them in the browser in which they use AdaDeep.",
)
def downloads(request: UserRequest, said: OfJob) -> Json:
    job = job_get(owner=request.user, job_id=said.job)
    rows = job_json(job)["artifacts"]
    paths = [reverse("v1:job_file", args=[job.pk, row["name"]]) for row in rows]
    addresses = map(request.build_absolute_uri, paths)
    return {"files": [{**row, "url": url} for row, url in zip(rows, addresses, strict=True)]}


def _wanted(said: Choice | NewBuild) -> Json:
    wanted = said.said()
    del wanted["project"]
    return wanted
