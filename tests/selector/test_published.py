"""The selector classic from a request to the report."""

import io
import json
import shutil

import pytest

from compression.types import BUILD_STAGES, STUDY_STAGES
from selector import engine
from selector.classic_actions import THE_TEN
from selector.jobfolder import JobFolder
from selector.report import check_report
from selector.reporter import Reporter
from tests.selector.test_engine import write_request


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A job folder whose study is done."""
    folder = tmp_path_factory.mktemp("study")
    request = write_request(folder, time_limit_s=60)  # the work of 20 s, whatever the load
    job = engine.prepare(request, folder / "out")
    for stage in STUDY_STAGES:
        engine.run_stage(stage, job, Reporter(stream=io.StringIO()), None)
    return job


def built_by_the_published_form(study, folder, **changes):
    """A study built with the selector classic: its report and its lines."""
    shutil.copytree(study.path, folder)
    asked = json.loads((folder / "request.json").read_text())
    switches = {"episodes": 100, "tuning_episodes": 50}
    asked |= {"selector": "classic", "classic": switches, **changes}
    (folder / "request.json").write_text(json.dumps(asked))
    lines = io.StringIO()
    for stage in BUILD_STAGES:
        status = engine.run_stage(stage, JobFolder(folder), Reporter(stream=lines), None)
    report = json.loads((folder / "PACKAGE" / "report.json").read_text())
    assert report["status"] == status
    return report, [json.loads(line) for line in lines.getvalue().splitlines()]


def test_the_published_form_answers_and_the_report_says_so(study, tmp_path):
    report, lines = built_by_the_published_form(
        study,
        tmp_path / "job",
        classic={"episodes": 100, "view": "analytic (paper)"},
        budgets={
            "max_accuracy_drop": 60.0
        },  # every change moves what the network says of noise
    )
    check_report(report)
    search = report["search"]
    assert report["status"] == "met"
    assert (search["selector"], search["answered_by"]) == ("classic", "classic")
    assert search["candidates_scored"] > 350  # 100 episodes, and what teaches the ranges
    published = search["published"]
    assert published["form"].startswith("AdaDeep as published")
    assert published["switches"] == {"view": "analytic (paper)", "episodes": 100}
    assert published["demand"]["units"]["E_max"] == "analytic mJ"
    assert published["analytic (paper)"]["storage_bits"]["result"] > 0
    assert report["recipe"]
    assert {step["technique"] for step in report["recipe"]} <= {
        each.technique for each in THE_TEN
    }
    assert any(
        note.startswith("Recipe chosen by AdaDeep as published") for note in report["notes"]
    )
    told = [line["data"] for line in lines if "phase" in line["data"]]
    assert {"episode", "reward", "loss", "epsilon", "best"} <= told[0].keys()


def test_limits_that_the_published_form_cannot_keep_are_infeasible(study, tmp_path):
    report, _ = built_by_the_published_form(
        study, tmp_path / "job", budgets={"max_size_bytes": 300}
    )
    assert report["status"] == "infeasible"
    assert report["search"]["published"]["demand"]["lambda2"] == 1.0
