"""A job that rests and goes on, or ends early, a report that others read, a chart's numbers as files."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import staging, steps

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def test_job_rests_on_a_click_and_goes_on_at_another(staged_page: Page, staged):
    staged.tell_engine(PROBE={"part_s": staging.FOREVER_S})
    job = staging.study_of(staged, staging.project(staged, seed=7))
    staged.wait_for_stage(job, "PROBE")
    staged.tell_engine()
    page = staged_page
    page.goto(f"/jobs/{job}/")
    page.get_by_role("button", name="Pause").first.click()
    expect(page.locator("#job-pill")).to_have_text("Paused", timeout=5_000)
    expect(page.get_by_text("It goes on at Probe.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#job-pill")).to_have_text("Finished", timeout=30_000)


def test_double_click_does_once_what_a_click_does(staged_page: Page, staged):
    staged.tell_engine(PROBE={"part_s": staging.FOREVER_S})
    job = staging.study_of(staged, staging.project(staged, seed=8))
    staged.wait_for_stage(job, "PROBE")
    staged.tell_engine()
    page, sent = staged_page, []
    page.on("request", lambda request: sent.append(request.url.rsplit("/", 1)[-1]))
    page.goto(f"/jobs/{job}/")
    page.get_by_role("button", name="Cancel").dblclick()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Pause").first.dblclick()
    expect(page.locator("#job-pill")).to_have_text("Paused", timeout=5_000)
    assert (sent.count("pause"), sent.count("cancel")) == (1, 0)
    expect(page.get_by_role("alert").filter(has_text=re.compile("."))).to_have_count(0)
    page.get_by_role("button", name="Cancel the job").dblclick()
    expect(page.locator("#job-pill")).to_have_text("Cancelled", timeout=5_000)
    assert sent.count("cancel") == 1


def test_job_that_changed_meanwhile_is_said_once(staged_page: Page, staged):
    staged.tell_engine(PROBE={"exit": 1, "error": "conv1 cannot be probed."})
    job = staging.study_of(staged, staging.project(staged, seed=9))
    staged.wait_for_state(job, "failed")
    staged.tell_engine()
    page = staged_page
    page.goto(f"/jobs/{job}/")
    answer = {"error": {"message": "There is nothing to retry.", "code": "refused"}}
    page.route("**/retry", lambda route: route.fulfill(status=409, json=answer))
    for _ in range(2):
        page.get_by_role("button", name="Retry").click()
        page.wait_for_timeout(700)  # two presses, no double click
        expect(page.get_by_text("There is nothing to retry.")).to_have_count(1)
    page.faults.clear()  # the browser's own word on a refusal


def test_study_that_failed_is_tried_again_in_the_studio(staged_page: Page, staged):
    staged.tell_engine(PROBE={"exit": 1, "error": "conv1 cannot be probed."})
    project = staging.project(staged, seed=10)
    staged.wait_for_state(staging.study_of(staged, project), "failed")
    staged.tell_engine()
    page = staged_page
    page.goto(f"/projects/{project}/")
    expect(page.get_by_text("conv1 cannot be probed.")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download log").click()
    assert "conv1 cannot be probed." in Path(saved.value.path()).read_text(encoding="utf-8")
    page.get_by_role("button", name="Edit preprocessing").click()
    expect(page.get_by_label("Layout")).to_be_focused()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("conv1 cannot be probed.")).to_be_hidden(timeout=10_000)
    steps.wait_for_answers(page, seconds=60)


@pytest.mark.parametrize("stage", ["SEARCH", "VALIDATE"])
def test_study_is_finished_early_on_a_click(staged_page: Page, staged, stage):
    staged.tell_engine(**{stage: {"sleep_s": staging.FOREVER_S, "part_s": staging.FOREVER_S}})
    seed = 11 + len(stage)
    project = staging.project(staged, seed=seed)
    job = staging.study_of(staged, project)
    staged.wait_for_stage(job, stage)
    page = staged_page
    page.goto(f"/jobs/{job}/")
    page.get_by_role("button", name="Finish now").click()
    expect(page.locator("#job-pill")).to_have_text("Finished", timeout=30_000)
    expect(page.get_by_text("This study was told to finish early")).to_be_visible()
    staged.tell_engine()


def test_recovery_is_finished_early_and_delivers(staged_page: Page, staged):
    project = staging.studied(staged)
    staged.tell_engine(RECOVER={"sleep_s": staging.FOREVER_S})
    wanted = {"target": "redmi-3s", "budgets": {"max_accuracy_drop": 2.0}}
    job = staged.call("POST", f"/api/projects/{project}/builds", wanted)["job"]
    staged.wait_for_stage(job, "RECOVER")
    page = staged_page
    page.goto(f"/jobs/{job}/")
    page.get_by_role("button", name="Finish now").click()
    page.get_by_role("link", name="Open report").click(timeout=30_000)
    expect(page.get_by_role("heading", name="Measured against predicted")).to_be_visible()
    staged.tell_engine()


def test_reader_of_a_link_sees_the_report_until_it_is_revoked(staged_page: Page, staged):
    page, job = staged_page, staging.built(staged, staging.studied(staged))
    page.goto(f"/jobs/{job}/result/")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_text("Only this computer can open such a link")).to_be_visible()
    page.get_by_label("Ends after").select_option("1")
    page.get_by_role("button", name="Create link").click()
    link = page.get_by_role("list", name="Links that work").locator("code").inner_text()
    reader = page.context.new_page()
    assert reader.goto(link).status == 200
    expect(reader.get_by_text("Shared report, read only")).to_be_visible()
    expect(reader.get_by_role("heading", name="Measured against predicted")).to_be_visible()
    for absent in ("Compare", "Projects", "Change goals", "Download"):
        expect(reader.get_by_role("link", name=absent)).to_have_count(0)
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
    assert reader.reload().status == 404


def test_numbers_of_a_chart_are_saved_for_programs(staged_page: Page, staged):
    page, job = staged_page, staging.built(staged, staging.studied(staged))
    page.goto(f"/jobs/{job}/result/")
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Change by class as JSON")).click()
    told = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert told["summary"].startswith("Accuracy change by class")
    assert {"Low", "High"} <= set(told["rows"][0])
