"""The socket falls while the server stays: a quiet line says so, nothing is missed, and it heals by itself."""

import re

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.e2e import staging, steps

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ASKING = "Live updates are off; this page asks the server every three seconds."
HEALED_MS = 60_000  # the longest wait between two tries is half a minute
HELD_BACK = (
    "while not (folder.parent.parent / f'{folder.name} {stage}').exists(): FINISH.wait(0.1)"
)


class Line:
    """What lies between a page's sockets and the server."""

    def __init__(self, page: Page):
        self.is_cut, self.sockets = False, []
        page.route_web_socket(re.compile("/ws/"), self._taken)

    def _taken(self, socket: WebSocketRoute) -> None:
        if self.is_cut:
            socket.close()
            return
        self.sockets.append((socket, socket.connect_to_server()))

    def drop(self) -> None:
        for ends in self.sockets:
            for end in ends:
                end.close()
        self.sockets = []

    def cut(self) -> None:
        self.is_cut = True
        self.drop()

    def mend(self) -> None:
        self.is_cut = False


@pytest.fixture
def line(staged_page: Page) -> Line:
    return Line(staged_page)


@pytest.fixture
def job(staged):
    """A study that is being probed; each stage goes on when the test says so."""
    staged.tell_engine(PROBE={"code": HELD_BACK}, SEARCH={"code": HELD_BACK})
    job = staging.study_of(staged, staging.project(staged, seed=31))
    staged.wait_for_stage(job, "PROBE")
    yield job
    staged.tell_engine()
    for stage in ("PROBE", "SEARCH"):
        _let_go_on(staged, job, stage)


def _let_go_on(staged, job: str, stage: str) -> None:
    (staged.home / f"{job} {stage}").touch()


def test_job_page_misses_nothing(staged_page: Page, staged, line: Line, job):
    page = staged_page
    page.goto(f"/jobs/{job}/")
    pill, log, banner = (
        page.locator("#job-pill"),
        page.get_by_role("log"),
        page.locator("#lost"),
    )
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    expect(pill).to_have_text("Running")
    cancel.focus()
    line.cut()
    expect(banner).to_have_text(ASKING)
    expect(banner).to_have_role("status")
    expect(log).to_contain_text("PROBE begins")
    expect(cancel).to_be_enabled()
    _let_go_on(staged, job, "PROBE")
    expect(log).to_contain_text("SEARCH begins", timeout=30_000)
    line.mend()
    expect(banner).to_be_hidden(timeout=HEALED_MS)
    expect(cancel).to_be_focused()
    line.drop()  # and comes back at once
    _let_go_on(staged, job, "SEARCH")
    expect(pill).to_have_text("Finished", timeout=HEALED_MS)
    fresh = page.context.new_page()
    fresh.goto(f"/jobs/{job}/")
    expect(fresh.locator("#job-pill")).to_have_text("Finished")
    expect(log).to_have_text(fresh.get_by_role("log").inner_text(), use_inner_text=True)


def test_studio_answers_without_its_socket(staged_page: Page, staged, line: Line):
    page = staged_page
    page.goto(f"/projects/{staging.studied(staged, seed=32)}/")
    steps.wait_for_answers(page, seconds=60)
    banner, metrics = page.locator("#lost"), page.locator("#metrics")
    line.cut()
    expect(banner).to_have_text(ASKING)
    expect(steps.build_button(page)).to_be_enabled()
    page.get_by_role("button", name="Most accurate").click()
    accurate = metrics.inner_text()
    with page.expect_response(lambda answer: answer.url.endswith("/select")):
        page.get_by_role("button", name="Smallest").click()
    expect(metrics).not_to_have_text(accurate, use_inner_text=True)
    line.mend()
    expect(banner).to_be_hidden(timeout=HEALED_MS)
    expect(page.get_by_role("button", name="Smallest")).to_have_attribute(
        "aria-pressed", "true"
    )
