from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.e2e import product as running
from tests.e2e import staging, steps

# What a page shows in the end is what counts here: a busy machine takes its time. Tests that hold the product to a time say so.
expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def playwright_driver():
    if running.CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the package 'chromium'")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright_driver):
    browser = playwright_driver.chromium.launch(
        executable_path=running.CHROMIUM, args=running.CHROMIUM_FLAGS
    )
    yield browser
    browser.close()


@pytest.fixture
def product(tmp_path):
    # Less work than by default, so that the journeys end in time on two busy cores.
    quick = {"BUILD_TIME_LIMIT_S": "90", "LEASE_HEARTBEAT_S": "2", "LEASE_LOST_S": "10"}
    started = running.start(tmp_path / "home", **quick)
    yield started
    assert started.stop() == 0


@pytest.fixture
def page(browser, product):
    with opened(browser, product.url) as page:
        yield page


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """AdaDeep with an engine that pretends: every state of a page within seconds."""
    with staging.prepared(tmp_path_factory.mktemp("staged")) as installation:
        yield installation


@pytest.fixture
def staged_page(browser, staged):
    with opened(browser, staged.url) as page:
        yield page


FILE_MIB = 16


@pytest.fixture
def large(tmp_path):
    """Another file for each test, so that none goes on with what an earlier one sent."""
    path = tmp_path / "large.npz"
    x = np.random.default_rng().integers(0, 255, FILE_MIB * 1024**2, np.uint8)
    np.savez(path, x=x.reshape(-1, 1024), y=np.zeros(len(x) // 1024, np.uint8))
    return path


@contextmanager
def opened(browser, url, **options):
    """A page of its own; whatever the console complains of fails the test."""
    usual = {"viewport": {"width": 1440, "height": 900}, "accept_downloads": True}
    context = browser.new_context(base_url=url, **{**usual, **options})
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda line: _keep_fault(page.faults, line))
    yield page
    if steps.SHOTS:
        page.screenshot(path=Path(steps.SHOTS) / "last.png", full_page=True)
    context.close()
    assert not page.faults


def _keep_fault(faults: list[str], line) -> None:
    """Errors count, among them whatever the content security policy stopped.

    Not that Chromium gives up requests when a network device of the machine comes or goes: sandboxes of
    other tests make and unmake some.
    """
    ours = "ERR_NETWORK_CHANGED" not in line.text
    if line.type == "error" and ours:
        faults.append(line.text)
