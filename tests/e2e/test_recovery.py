"""Nothing is lost when the worker is killed in the middle of a job."""

import os
import re
import signal

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import steps

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.mark.slow  # test_up strikes every process in turn, with an engine that takes no time
def test_job_finishes_though_its_worker_was_killed(page: Page, product):
    steps.open_sample(page, "Handwritten digits")
    page.get_by_role("link", name="Study progress").click()
    page.wait_for_url(re.compile("/jobs/"))
    stage = page.get_by_role("listitem").filter(has_text=re.compile("Probe|Search"))
    expect(stage.first).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text(
        re.compile("probe|search", re.IGNORECASE), timeout=60_000
    )

    worker = product.engine_worker()
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(timeout=10)

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Projects").click()
    page.get_by_role("link", name=re.compile("digits", re.IGNORECASE)).first.click()
    steps.wait_for_answers(page, seconds=240)
