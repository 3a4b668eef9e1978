"""Pages while something is interrupted: what axe-core finds, and pictures where they are asked for (E2E_SHOTS)."""

import itertools
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import staging, steps
from tests.e2e.axe import grave, window
from tests.e2e.conftest import opened
from tests.e2e.sending import CHUNKS, SLOW, data, slow_down, wait_until_sent

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# The usual two see each theme and each width once.
LOOKS = [
    pytest.param(((1440, "light"), (390, "dark")), id="usual"),
    pytest.param(((1440, "dark"), (390, "light")), id="crossed", marks=pytest.mark.slow),
]


@pytest.fixture(params=LOOKS)
def page(request, browser, staged):
    # The page's policy is set aside: axe is put into it from outside. Without motion, so that no colour is
    # looked at on its way to another.
    with opened(browser, staged.url, bypass_csp=True, reduced_motion="reduce") as page:
        page.looks = request.param
        yield page
        page.faults = []  # what the browser says of what was broken on purpose


def check(page: Page, name: str) -> None:
    """Nothing serious in either theme, on a desk and on a phone; and nothing scrolls sideways."""
    found = {}
    for width, theme in page.looks:
        page.set_viewport_size(window(width))
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(400)  # colours fade
        found[width, theme] = grave(page)
        if shots := os.environ.get("E2E_SHOTS"):
            file = f"broken {name} {width} {theme}.png".replace(" ", "-")
            page.screenshot(path=Path(shots) / file, full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not {look: lines for look, lines in found.items() if lines}, name
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1440, "height": 900})


def test_upload_on_its_way_waiting_and_interrupted(page: Page, large):
    slow_down(page, SLOW)
    steps.upload(page, large)
    wait_until_sent(page, 10)
    check(page, "upload being sent")
    page.route(CHUNKS, lambda route: route.abort("connectionreset"))
    expect(data(page)).to_contain_text("Connection lost.", timeout=30_000)
    check(page, "upload waiting")
    page.unroute(CHUNKS)
    page.reload()
    expect(data(page)).to_contain_text("Choose the same file again")
    check(page, "upload interrupted")
    data(page).get_by_role("button", name="Discard").click()


def test_refused_upload(page: Page, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"\x80\x02}q\x00.")
    steps.upload(page, path)
    expect(page.get_by_role("alert").filter(has_text=re.compile("."))).to_be_visible()
    check(page, "upload refused")


SEEDS = itertools.count(21)


def running_study(staged) -> str:
    staged.tell_engine(PROBE={"part_s": staging.FOREVER_S})
    job = staging.study_of(staged, staging.project(staged, seed=next(SEEDS)))
    staged.wait_for_stage(job, "PROBE")
    staged.tell_engine()
    return job


def test_paused_job(page: Page, staged):
    job = running_study(staged)
    page.goto(f"/jobs/{job}/")
    page.get_by_role("button", name="Pause").first.click()
    expect(page.locator("#job-pill")).to_have_text("Paused", timeout=5_000)
    check(page, "job paused")
    staged.call("POST", f"/api/jobs/{job}/cancel")
    expect(page.locator("#job-pill")).to_have_text("Cancelled", timeout=5_000)
    check(page, "job cancelled")


@pytest.mark.parametrize(("state", "code"), [("missed", 3), ("infeasible", 4), ("failed", 1)])
def test_build_that_ended_otherwise_than_wished(page: Page, staged, state, code):
    project = staging.studied(staged)
    staged.tell_engine(
        PACKAGE={"exit": code} | ({"error": "The disk is full."} if state == "failed" else {})
    )
    wanted = {"target": "redmi-3s", "budgets": {"max_accuracy_drop": 0.3}, "again": True}
    job = staged.call("POST", f"/api/projects/{project}/builds", wanted)["job"]
    staged.wait_for_state(job, state)
    staged.tell_engine()
    page.goto(f"/jobs/{job}/")
    page.wait_for_timeout(500)
    check(page, f"build {state}")
    if state != "failed":
        page.goto(f"/jobs/{job}/result/")
        page.wait_for_timeout(500)
        check(page, f"report {state}")


def test_connection_lost(page: Page, staged):
    studio, job = page, page.context.new_page()
    job.looks = page.looks
    studio.goto(f"/projects/{staging.studied(staged)}/")
    steps.wait_for_answers(studio, seconds=60)
    running = running_study(staged)
    job.goto(f"/jobs/{running}/")
    staged.stop()
    for shown, name in ((studio, "studio"), (job, "job")):
        shown.bring_to_front()
        expect(shown.get_by_text("Connection lost")).to_be_visible(timeout=20_000)
        check(shown, f"{name} without its server")
    staged.start()
    for shown in (studio, job):
        expect(shown.get_by_text("Connection lost")).to_be_hidden(timeout=60_000)
    staged.call("POST", f"/api/jobs/{running}/cancel")
