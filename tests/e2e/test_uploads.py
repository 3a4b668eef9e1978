"""A large file comes through whatever happens to the connection, the server and the page."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.e2e import steps

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

FILE_MIB = 16
FAST, SLOW = 6, 1  # MiB a second: the file takes three seconds, or longer than any test needs
TIMES_CUT = 4  # after so many the page waits long enough for its words to be seen
CHUNK_BYTES = 4 * 1024**2
CHUNKS = re.compile(r"/api/v1/transfers/[0-9a-f-]{36}$")


@pytest.fixture
def large(tmp_path):
    """Another file for each test, so that none goes on with what an earlier one sent."""
    path = tmp_path / "large.npz"
    x = np.random.default_rng().integers(0, 255, FILE_MIB * 1024**2, np.uint8)
    np.savez(path, x=x.reshape(-1, 1024), y=np.zeros(len(x) // 1024, np.uint8))
    return path


def slow_down(page: Page, mib_s: int) -> None:
    network = page.context.new_cdp_session(page)
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": mib_s * 1024**2}
    network.send("Network.emulateNetworkConditions", {"offline": False, **speed})


def offsets_of(page: Page) -> list[int]:
    """Where the chunks begin, as they are sent."""
    found: list[int] = []

    def note(request):
        if request.method == "PATCH":
            found.append(int(request.headers["upload-offset"]))

    page.on("request", note)
    return found


def data(page: Page):
    return page.locator('[data-slot="data"]')


def wait_until_sent(page: Page, percent: int) -> None:
    page.wait_for_function(
        "percent => document.querySelector('[data-slot=data] .bar')?.ariaValueNow >= percent",
        arg=percent,
        timeout=60_000,
    )


def wait_until_ready(page: Page) -> None:
    expect(data(page)).to_contain_text("Ready", timeout=90_000)


def test_broken_connection_heals_by_itself(staged_page: Page, large):
    page, cut = staged_page, []

    def cut_off(route):
        offset = int(route.request.headers.get("upload-offset", 0))
        if offset and len(cut) < TIMES_CUT:
            cut.append(offset)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(CHUNKS, cut_off)
    steps.upload(page, large)
    expect(data(page)).to_contain_text("Connection lost.", timeout=30_000)
    wait_until_ready(page)
    assert cut == TIMES_CUT * [CHUNK_BYTES]
    page.faults = []  # what the browser says of the broken request


def test_restarted_server_goes_on_where_it_was(staged_page: Page, staged, large):
    page = staged_page
    slow_down(page, FAST)
    offsets = offsets_of(page)
    steps.upload(page, large)
    wait_until_sent(page, 30)
    staged.stop()
    expect(data(page)).to_contain_text("it goes on by itself", timeout=20_000)
    staged.start()
    wait_until_ready(page)
    assert offsets.count(0) == 1
    page.faults = []


def test_same_file_after_a_reload_goes_on(staged_page: Page, large):
    page = staged_page
    slow_down(page, FAST)
    offsets = offsets_of(page)
    steps.upload(page, large)
    wait_until_sent(page, 30)
    page.reload()
    expect(data(page)).to_contain_text("Choose the same file again")
    expect(data(page)).to_contain_text("large.npz")
    before = len(offsets)
    page.locator("input[type=file]").first.set_input_files(str(large))
    expect(data(page)).to_contain_text(re.compile("Went on at [1-9][0-9] %"), timeout=30_000)
    wait_until_ready(page)
    assert offsets[before] >= CHUNK_BYTES
    page.faults = []


def test_interrupted_upload_is_discarded(staged_page: Page, staged, large):
    page = staged_page
    slow_down(page, SLOW)
    steps.upload(page, large)
    wait_until_sent(page, 20)
    page.reload()
    data(page).get_by_role("button", name="Discard").click()
    expect(data(page)).not_to_contain_text("large.npz")
    page.reload()
    expect(data(page)).to_contain_text(".npz with x and y")
    assert staged.call("GET", "/api/v1/transfers")["transfers"] == []
    page.faults = []


def test_cancelled_upload_leaves_nothing(staged_page: Page, staged, large):
    page = staged_page
    slow_down(page, SLOW)
    steps.upload(page, large)
    wait_until_sent(page, 20)
    data(page).get_by_role("button", name="Cancel").click()
    expect(data(page)).to_contain_text(".npz with x and y")
    page.wait_for_timeout(500)
    assert staged.call("GET", "/api/v1/transfers")["transfers"] == []
