"""Makes the pictures of the README from the product at work: ``python docs/screenshots.py``.

Starts AdaDeep with an empty data folder, goes through the digits sample in Chromium and builds a network; five to
twenty minutes on two cores. The pictures are small on purpose: all of them together stay below 600 KB.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
sys.path.insert(0, str(ROOT))

from benchmarks.devices.own import runs_ms  # noqa: E402
from tests.e2e import product, steps  # noqa: E402
from webapp.devices.kit import kit_graphs  # noqa: E402

DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


def keep(page: Page, name: str) -> None:
    """What is in the window, as WebP."""
    page.wait_for_timeout(600)  # motion has ended
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").save(PICTURES / f"{name}.webp", quality=80, method=6)


def opened(browser: Browser, url: str, theme: str, size: dict[str, int]) -> Page:
    """A page that shows motion no time."""
    context = browser.new_context(
        base_url=url, viewport=size, color_scheme=theme, reduced_motion="reduce"
    )
    return context.new_page()


def journey(browser: Browser, url: str) -> None:
    """The sample from its studio to its report, by day, by night and on a phone."""
    page = opened(browser, url, "light", DESK)
    steps.open_sample(page, "Handwritten digits")
    steps.wait_for_answers(page, seconds=240)
    studio = page.url
    page.get_by_role("button", name=re.compile("Target device")).click()
    page.get_by_role("searchbox", name="Search devices").fill("redmi")
    page.get_by_role("radio").first.press("Enter")
    page.get_by_role("button", name="Smallest").click()
    page.get_by_text("Still studying this model").wait_for(state="hidden", timeout=600_000)
    page.wait_for_timeout(1500)
    keep(page, "studio")
    page.locator("#recipe-title").scroll_into_view_if_needed()
    page.mouse.wheel(0, 500)
    keep(page, "recipe")
    keep_map(page)
    keep_devices(page)
    for name, theme, size in (("studio-dark", "dark", DESK), ("studio-phone", "light", PHONE)):
        other = opened(browser, url, theme, size)
        other.goto(studio)
        steps.wait_for_answers(other, seconds=120)
        keep(other, name)
        other.close()
    steps.build_button(page).click()
    page.wait_for_url(re.compile("/jobs/"))
    page.get_by_text("Fine-tuning has not started yet.").wait_for(
        state="hidden", timeout=300_000
    )
    page.wait_for_timeout(15_000)
    keep(page, "job")
    page.get_by_role("link", name="Open report").click(timeout=1_200_000)
    page.wait_for_url(re.compile("/result/"))
    keep(page, "report")
    keep_catalogue(page)


def keep_map(page: Page) -> None:
    """The applicability map, with a cell's reason below it."""
    page.locator("#fit-card summary").click()
    page.locator("#fit-card").scroll_into_view_if_needed()
    page.locator("#fit-card td.no").nth(4).hover()
    keep(page, "map")


def keep_devices(page: Page) -> None:
    """One recipe on all devices, and the best one for each."""
    page.get_by_role("button", name="Compare devices").click()
    page.locator("#devices-card tbody tr").first.wait_for(timeout=60_000)
    page.locator("#devices-card").scroll_into_view_if_needed()
    keep(page, "devices")


def keep_catalogue(page: Page) -> None:
    """The catalogue, and a device of one's own: this computer, as timed by the kit."""
    steps.add_kit_device(page, "This server by the kit", "rpi5")
    times = {"name": "times.csv", "mimeType": "text/csv", "buffer": kit_times().encode()}
    page.get_by_label("The filled table").set_input_files(times)
    page.get_by_role("button", name="Send the filled table").click()
    chart = page.get_by_role("img", name=re.compile("of 18 graphs and networks"))
    chart.scroll_into_view_if_needed(timeout=60_000)
    keep(page, "own-device")
    page.goto("/devices/")
    page.get_by_role("table", name=re.compile("Target devices by family")).wait_for()
    page.get_by_role("heading", name="Catalogue").evaluate("node => node.scrollIntoView()")
    keep(page, "catalogue")


def kit_times() -> str:
    """The kit's table, filled by ONNX Runtime on this computer."""
    rows = (
        (graph.name, *(f"{ms:.5f}" for ms in runs_ms(graph.path.read_bytes())))
        for graph in kit_graphs().values()
    )
    return "\n".join(";".join(row) for row in rows)


def main() -> None:
    """All pictures, and how large they are together."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        running = product.start(Path(home) / "adadeep")
        browser = playwright.chromium.launch(
            executable_path=product.CHROMIUM, args=product.CHROMIUM_FLAGS
        )
        try:
            journey(browser, running.url)
        finally:
            browser.close()
            running.stop()
    total = sum(path.stat().st_size for path in PICTURES.glob("*.webp"))
    print(f"{total / 1000:.0f} KB in {PICTURES}")  # noqa: T201


if __name__ == "__main__":
    main()
