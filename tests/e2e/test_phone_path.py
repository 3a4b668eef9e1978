"""From the sample to the file with a thumb, on a screen of 390 pixels."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import steps
from tests.e2e.conftest import opened

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

WIDTH = 390
LEAST_PX = 24  # what WCAG 2.2 asks of a target that is no word in a line

# What a thumb cannot get at: beyond an edge, under something else, or too small. Tables scroll by themselves,
# and what lies in them with them; a narrow block of the recipe's strip opens what its layer's row does too.
OUT_OF_REACH = """([part, width, least]) => {
  const controls = document.querySelector(part).querySelectorAll('a, button, input, select, summary, [tabindex="0"]');
  // Chromium calls parts of a drawing visible that are not displayed.
  const isShown = node => getComputedStyle(node).display !== 'none' && node.checkVisibility({ visibilityProperty: true });
  const isMeant = node => isShown(node) && !node.disabled
    && !node.closest('.table-wrap, .chart-table, .recipe, .skip');
  const faults = node => {
    const area = node.closest('label') ?? node;
    area.scrollIntoView({ block: 'center', behavior: 'instant' });
    const { left, right, top, bottom } = area.getBoundingClientRect();
    const reach = getComputedStyle(node).display === 'inline' ? 0 : least / 2 - 1;
    const [x, y] = [(left + right) / 2, (Math.max(top, 0) + Math.min(bottom, innerHeight)) / 2];
    const around = [[0, 0], [-reach, 0], [reach, 0], [0, -reach], [0, reach]];
    const hits = around.map(([dx, dy]) => document.elementFromPoint(x + dx, y + dy));
    const other = hits.find(hit => !area.contains(hit));
    return [
      (left < 0 || right > width) && 'beyond the edge',
      other !== undefined && `too small, or under ${other?.outerHTML.slice(0, 60)}`,
    ].filter(Boolean).map(fault => `${fault}: ${node.outerHTML.slice(0, 120)}`);
  };
  const found = [...controls].filter(isMeant).flatMap(faults);
  scrollTo({ top: 0, behavior: 'instant' });
  return found.join('\\n');
}"""


@pytest.fixture
def phone(browser, staged):
    screen = {"viewport": {"width": WIDTH, "height": 844}, "device_scale_factor": 2}
    with opened(browser, staged.url, has_touch=True, is_mobile=True, **screen) as page:
        yield page


def test_sample_to_download_with_a_thumb(phone: Page):
    page = phone
    page.goto("/")
    _fits(page)
    page.get_by_role("button", name="Handwritten digits").tap()
    page.wait_for_url(re.compile("/projects/"), timeout=30_000)
    steps.wait_for_answers(page, seconds=60)
    _fits(page)
    _choose_a_device(page)
    _slide(page)
    _open_a_layer(page)
    _fits(page)
    steps.build_button(page).and_(page.locator(":visible")).tap()
    page.wait_for_url(re.compile("/jobs/"))
    report = page.get_by_role("link", name="Open report")
    expect(report).to_be_visible(timeout=60_000)
    _fits(page)
    report.tap()
    page.wait_for_url(re.compile("/result/"))
    expect(page.get_by_role("table", name="Headline numbers")).to_contain_text("Storage")
    _fits(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download model.onnx").tap()
    assert download.value.path().read_bytes() == b"a small network"


def _fits(page: Page, part: str = "body") -> None:
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTH
    assert page.evaluate(OUT_OF_REACH, [part, WIDTH, LEAST_PX]) == ""


def _choose_a_device(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Target device")).tap()
    page.get_by_role("searchbox", name="Search devices").fill("raspberry pi 4")
    _fits(page, "device-picker")
    page.get_by_role("radio", name=re.compile("^Raspberry Pi 4")).tap()
    chosen = page.get_by_role("button", name=re.compile("^Target device: Raspberry Pi 4"))
    expect(chosen).to_be_visible()


def _slide(page: Page) -> None:
    """The thumb draws the slider along, which stays where it is on the screen: notes may come and go above it."""
    storage = steps.slider(page, "Storage")
    storage.evaluate("node => node.scrollIntoView({ block: 'center' })")
    box = storage.bounding_box()
    y = box["y"] + box["height"] / 2
    start = box["x"] + 9 + (box["width"] - 18) * float(storage.input_value()) / 100
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": x, "y": y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    send("touchStart", (start, y))
    for part in range(1, 9):
        send("touchMove", (start + (box["x"] + box["width"] - start) * part / 8, y))
    send("touchEnd")
    expect(storage).to_have_value("100")
    assert storage.bounding_box()["y"] == pytest.approx(box["y"], abs=1)


def _open_a_layer(page: Page) -> None:
    page.get_by_role("button", name="Techniques for fc1").tap()
    require = page.get_by_role("button", name=re.compile("^Require .* on fc1")).first
    require.tap()
    expect(require).to_have_attribute("aria-pressed", "true")
