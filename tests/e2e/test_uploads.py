"""A large file comes through whatever happens to the connection, the server and the page."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import steps
from tests.e2e.sending import CHUNKS, FAST, SLOW, data, slow_down, wait_until_sent

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TIMES_CUT = 4  # after so many the page waits long enough for its words to be seen
CHUNK_BYTES = 4 * 1024**2


def offsets_of(page: Page) -> list[int]:
    """Where the chunks begin, as they are sent."""
    found: list[int] = []

    def note(request):
        if request.method == "PATCH":
            found.append(int(request.headers["upload-offset"]))

    page.on("request", note)
    return found


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
    # A busy machine takes its time to stop a server, which serves until then.
    slow_down(page, SLOW)
    offsets = offsets_of(page)
    steps.upload(page, large)
    wait_until_sent(page, 30)
    staged.stop()
    try:
        expect(data(page)).to_contain_text("it goes on by itself", timeout=20_000)
    finally:
        staged.start()
    slow_down(page, FAST)
    wait_until_ready(page)
    assert offsets.count(0) == 1
    page.faults = []


def test_same_file_after_a_reload_goes_on(staged_page: Page, large):
    page = staged_page
    slow_down(page, SLOW)
    offsets = offsets_of(page)
    steps.upload(page, large)
    wait_until_sent(page, 30)
    page.reload()
    slow_down(page, FAST)
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
