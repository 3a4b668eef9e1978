"""A file that takes a while to send."""

import re

from playwright.sync_api import Page

from tests.e2e import steps

FAST, SLOW = 6, 1  # MiB a second: the file takes three seconds, or longer than any test needs
CHUNKS = re.compile(r"/api/v1/transfers/[0-9a-f-]{36}$")


def slow_down(page: Page, mib_s: int) -> None:
    network = page.context.new_cdp_session(page)
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": mib_s * 1024**2}
    network.send("Network.emulateNetworkConditions", {"offline": False, **speed})


def data(page: Page):
    """The slot for the data."""
    return page.locator('[data-slot="data"]')


def wait_until_sent(page: Page, percent: int) -> None:
    bar = "document.querySelector('[data-slot=data] .bar')"
    steps.wait_until(page, f"{bar}?.ariaValueNow >= {percent}", seconds=60)
