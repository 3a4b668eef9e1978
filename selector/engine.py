"""The stages of a job, end to end, without the web: what the command line runs."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from traceback import clear_frames
from typing import TYPE_CHECKING, Protocol

import torch

from compression.types import BUILD_STAGES, STUDY_STAGES, Stage
from selector.choosing import named_model, read_recipe, recipe_json, replay_settings
from selector.errors import BadRequestError
from selector.exhaustion import explained
from selector.job import Job
from selector.jobfolder import CHOSEN_RECIPE, JobFolder, Part
from selector.plan import check_ready, part_done, read_rounds
from selector.reporter import Reporter
from selector.request import PROFILE_SUFFIX, Request, read_request
from selector.stages import export, inspect, measure, package, probe, recover, search, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

WHOLE: dict[Stage, Callable[[Job], None]] = {
    Stage.INSPECT: inspect.inspect,
    Stage.SEARCH: search.search,
    Stage.RECOVER: recover.recover,
    Stage.EXPORT: export.export,
    Stage.MEASURE: measure.measure,
    Stage.PACKAGE: package.package,
}
"""Stages that one process does from beginning to end."""


class Parted(Protocol):
    """A stage whose work items may be shared out among processes."""

    def do(self, part: Part) -> None:
        """Leave the result of one part."""

    def join(self) -> None:
        """Make the stage's result from those of all parts."""


PARTED: dict[Stage, Callable[[Job], Parted]] = {
    Stage.PROBE: probe.Probing,
    Stage.VALIDATE: validate.Validation,
}

JOIN, END = "join", "end"
"""Told instead of a part: make the stage's result, or leave that to others."""

MET = "met"

INPUTS = "INPUT"
"""Where ``prepare`` puts the uploaded files, under their own names."""


def prepare(request: Path, out: Path) -> JobFolder:
    """Make a job folder that holds its request and all it needs, ready for the stages."""
    asked = read_request(request)
    out.mkdir(parents=True, exist_ok=True)
    with _limits_explained(Stage.INSPECT, out, asked.model):
        return _prepared(asked, out)


def _prepared(asked: Request, out: Path) -> JobFolder:
    inputs = out / INPUTS
    inputs.mkdir(parents=True, exist_ok=True)
    model, data = inputs / asked.model.name, None
    _place(asked.model, model)
    if asked.data is not None:
        data = inputs / asked.data.name
        _place(asked.data, data)
    # Paths in a request are relative to its folder, so that the folder can be moved.
    inside = replace(
        asked,
        model=model.relative_to(out),
        data=data.relative_to(out) if data else None,
        target=_placed_target(asked.target, out),
    )
    text = json.dumps(inside.to_json(), indent=1)
    (out / "request.json").write_text(text, encoding="utf-8")
    return JobFolder(out)


def _placed_target(target: str, out: Path) -> str:
    """The name of the device; a profile of one's own comes into the folder too."""
    if not target.endswith(PROFILE_SUFFIX):
        return target
    _place(Path(target), out / Path(target).name)
    return Path(target).name


def run(folder: JobFolder, reporter: Reporter) -> str:
    """Every stage in a row; the status of the report."""
    job = job_of(folder, reporter)
    reporter.deadline = time.monotonic() + job.request.time_limit_s
    for stage in (*STUDY_STAGES, *BUILD_STAGES):
        _do(job, stage)
    return _delivered(job)


def run_stage(stage: Stage, folder: JobFolder, reporter: Reporter, part: Part | None) -> str:
    """One stage, or one part of it; ``"met"`` unless it is the last and says otherwise.

    A stage that is done already is left alone.
    """
    job = job_of(folder, reporter)
    reporter.deadline = time.monotonic() + job.request.time_limit_s
    if part is not None:
        _Parts(job, stage).do(part)
    else:
        _do(job, stage)
    return _status(folder) if stage is Stage.PACKAGE else MET


def run_told_parts(
    stage: Stage, folder: JobFolder, reporter: Reporter, told: Iterable[str]
) -> str:
    """Do the parts that somebody names (``3/8``), one after the other, until told ``join`` or ``end``.

    So several processes share a stage, each loading model and data only once.
    """
    job = job_of(folder, reporter)
    reporter.deadline = time.monotonic() + job.request.time_limit_s
    parts = _Parts(job, stage)
    for what in takewhile(lambda line: line != END, told):
        if what == JOIN:
            parts.finish()
            break
        parts.do(Part.parse(what))
    return MET


ANOTHER_MODEL = "The recipe was made for another model file than this one: what comes out may differ, and steps that do not fit are left out."


def apply(model: Path, recipe: Path, data: Path | None, out: Path, reporter: Reporter) -> str:
    """Rebuild a network from a recipe: probed anew, no search, the recipe made real, recovered and measured.

    Before fine-tuning it is the same network bit for bit, given the same model and data, the same versions
    of the libraries and the seed and threads that the recipe names.
    """
    steps = read_recipe(recipe)
    out.mkdir(parents=True, exist_ok=True)
    request = {
        **replay_settings(recipe),
        "model": str(model.resolve()),
        "data": str(data.resolve()) if data else None,
    }
    asked = out / "request.json"
    asked.write_text(json.dumps(request), encoding="utf-8")
    folder = prepare(asked, out)
    text = json.dumps(recipe_json(steps))
    (out / CHOSEN_RECIPE).write_text(text, encoding="utf-8")
    job = job_of(folder, reporter)
    if named_model(recipe) not in ("", job.model_sha256):
        reporter.log(ANOTHER_MODEL, "warning")
    for stage in (Stage.INSPECT, Stage.PROBE, *BUILD_STAGES):
        _do(job, stage)
    return _delivered(job)


def describe(model: Path, data: Path | None) -> str:
    """What a model is, as one JSON object; with data also how good it is."""
    quiet = Reporter(stream=io.StringIO())
    with tempfile.TemporaryDirectory() as scratch:
        request = Request(model=model, data=data)
        job = Job(JobFolder(Path(scratch)), request, quiet)
        found = inspect.describe(job)
        if data is not None:
            inspect.inspect(job)
            found["baseline"] = job.folder.read_json(Stage.INSPECT, "baseline.json")
            found["preprocessing"] = job.folder.read_json(Stage.INSPECT, "preprocessing.json")
    return json.dumps(found)


def _do(job: Job, stage: Stage) -> None:
    """A whole stage, or what is missing of it."""
    if job.folder.is_done(stage):
        return
    if stage in PARTED:
        _Parts(job, stage).finish()
        return
    job.reporter.begin(stage, Part())
    with _at_work(job, stage):
        WHOLE[stage](job)
    job.folder.write_json(stage, "seconds.json", job.reporter.done())


class _Parts:
    """A stage that this process does part by part."""

    def __init__(self, job: Job, stage: Stage) -> None:
        if stage not in PARTED:
            raise BadRequestError(f"Stage {stage.value} cannot be done in parts.")
        self._job, self._stage = job, stage
        self._started = time.monotonic()
        self._work = PARTED[stage](job)

    def do(self, part: Part) -> None:
        """One part; what is done already is left alone.

        Raises:
            BadRequestError: when it is none of the plan, or needs parts that are not done.
        """
        folder, stage = self._job.folder, self._stage
        check_ready(folder, stage, part)
        self._job.reporter.begin(stage, part)
        if not (folder.is_done(stage) or part_done(folder, stage, part)):
            with _at_work(self._job, stage):
                self._work.do(part)
        self._job.reporter.done()

    def finish(self) -> None:
        """Whatever part is missing; then join them."""
        job, stage = self._job, self._stage
        if job.folder.is_done(stage):
            return
        for part in read_rounds(job.folder, stage).parts:
            if not part_done(job.folder, stage, part):
                self.do(part)
        job.reporter.part = Part()
        with _at_work(job, stage):
            self._work.join()
        seconds = job.reporter.done(seconds=round(time.monotonic() - self._started, 3))
        job.folder.write_json(stage, "seconds.json", seconds)


@contextmanager
def _at_work(job: Job, stage: Stage) -> Iterator[None]:
    with _limits_explained(stage, job.folder.path, job.request.model):
        torch.set_num_threads(job.effort.threads)
        yield


@contextmanager
def _limits_explained(stage: Stage, folder: Path, model: Path) -> Iterator[None]:
    """Say in the user's words when memory or disk run out; every library has an error of its own for it."""
    try:
        yield
    except Exception as error:
        clear_frames(error.__traceback__)  # they may hold the very memory that a sentence needs
        shown = explained(error, stage, folder, model)
        if shown is None:
            raise
        raise shown from error


def job_of(folder: JobFolder, reporter: Reporter) -> Job:
    """The job of a folder that ``prepare`` made."""
    request = read_request(folder.path / "request.json")
    return Job(folder, request, reporter)


def _delivered(job: Job) -> str:
    """Offer the packaged files in the job folder itself; the status of the report."""
    folder = job.folder
    packaged = folder.path / Stage.PACKAGE.value
    with _limits_explained(Stage.PACKAGE, folder.path, job.request.model):
        for path in packaged.iterdir():
            if path.name not in ("package.json", "seconds.json"):
                _place(path, folder.path / path.name)
    return _status(folder)


def _status(folder: JobFolder) -> str:
    return str(folder.read_json(Stage.PACKAGE, "package.json")["status"])


def _place(source: Path, target: Path) -> None:
    """A copy: whoever changes either file does not change the other."""
    if not source.is_file():
        raise BadRequestError(f"The file {source} does not exist.")
    if not (target.exists() and target.samefile(source)):
        shutil.copyfile(source, target)
