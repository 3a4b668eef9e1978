"""A job's folder on disk: what goes in before the engine starts, and what it offers afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from compression import durable
from compression.types import STUDY_STAGES, Stage
from selector.jobfolder import JobFolder
from selector.study import PAST_RECOVERIES
from webapp import filestore
from webapp.datafolder import discard

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from webapp.jobs.models import Job


def write_inputs(job: Job, files: dict[str, Path], values: dict[str, Any]) -> None:
    """Make the folder with hard links of the files and the values as JSON, by the names given."""
    job.folder.mkdir(mode=0o700)
    for name, source in files.items():
        link(source, job.folder / name)
    for name, value in values.items():
        write_json(job.folder / name, value)


def link_study(job: Job, study: Job) -> None:
    """Give a build what its study found; done twice it changes nothing."""
    for stage in STUDY_STAGES:
        source = study.folder / stage.value
        target = job.folder / stage.value
        target.mkdir(exist_ok=True)
        for path in source.iterdir():
            if path.is_file() and not (target / path.name).exists():
                link(path, target / path.name)


def write_past(job: Job, earlier: Iterable[Job]) -> None:
    """Tell a build what earlier ones of its study tried; once, so that it goes on alike after a restart."""
    path = job.folder / PAST_RECOVERIES
    if path.exists():
        return
    write_json(path, recoveries(build for build in earlier if build.pk != job.pk))


def recoveries(builds: Iterable[Job]) -> list[dict[str, Any]]:
    """What builds tried and got, as far as they are."""
    done = (build for build in builds if is_done(build, Stage.RECOVER))
    found = (JobFolder(build.folder).read_json(Stage.RECOVER, "recover.json") for build in done)
    return [row for each in found for row in each.get("attempts", ()) if "kl" in row]


def is_done(job: Job, stage: Stage) -> bool:
    """Whether the stage has left its result."""
    return JobFolder(job.folder).is_done(stage)


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        shutil.copyfile(source, target)


def write_json(path: Path, value: object) -> None:
    """Write in one step: readers see the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
    durable.replace(temporary, path)


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(job: Job) -> None:
    """Delete the job's files, here and in the store that machines share."""
    discard(job.place)
    if filestore.is_shared():
        filestore.delete_all(f"jobs/{job.pk}")
