"""What a person does on the pages; elements are found by role and label."""

import os
import re
import time
from pathlib import Path

import numpy as np
import onnxruntime
from playwright.sync_api import Page

from tests.e2e.product import ROOT

SAMPLES = ROOT / "webapp" / "samples"
DIGITS = SAMPLES / "digits"
SHOTS = os.environ.get("E2E_SHOTS")  # a folder: pictures of each page land there
WIDTHS = (390, 720, 1024, 1440)  # 720: a desk of 1440, enlarged twice


def upload(page: Page, *files: Path) -> None:
    page.goto("/")
    page.locator("input[type=file]").first.set_input_files([str(file) for file in files])


def sign_up(page: Page, running, name: str) -> None:
    """The first account of an installation, by the link that it writes when it starts."""
    page.goto(re.search(r"http://[^/\s]+(/setup/\S+)", running.log.read_text())[1])
    make_account(page, name)


def make_account(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    for label in ("Password", "Password again"):
        page.get_by_label(label, exact=True).fill("a long way to Uppsala")
    page.get_by_role("button", name="Make the account").click()
    page.wait_for_url("**/")


def open_sample(page: Page, title: str) -> None:
    page.goto("/")
    page.get_by_role("button", name=title).click()
    page.wait_for_url(re.compile(r"/projects/"), timeout=30_000)


def add_kit_device(page: Page, name: str, prior: str) -> None:
    """A device of one's own that is measured by a kit; leads to its page."""
    page.goto("/devices/")
    page.get_by_text("Measure a device by a kit").click()
    form = page.locator("form[data-means=kit]")
    form.get_by_label("Name").fill(name)
    form.get_by_label("Start from").select_option(prior)
    form.get_by_label("Runtime").fill("onnxruntime")
    form.get_by_role("button", name="Add this device").click()
    page.wait_for_url(re.compile("/devices/own-"))


def wait_for_answers(page: Page, seconds: float) -> float:
    """Waits until the sliders answer and a build may start; says how long it took."""
    started = time.monotonic()
    stopped = page.get_by_text("The study stopped")
    while not build_button(page).is_enabled():
        assert not stopped.is_visible(), page.locator("#study-note").inner_text()
        assert time.monotonic() - started < seconds, "the sliders do not answer yet"
        page.wait_for_timeout(500)
    return time.monotonic() - started


def wait_until(page: Page, condition: str, seconds: float = 10) -> None:
    """Waits for a condition in JavaScript; Playwright's own way would need what the security policy forbids."""
    for _ in range(int(10 * seconds)):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not within {seconds:g} s: {condition}")


def build_button(page: Page):
    return page.get_by_role("button", name="Build this model").first


def slider(page: Page, goal: str):
    return page.get_by_role("slider", name=goal, exact=True)


def recommendation(page: Page) -> tuple[str, list[str]]:
    """The headline numbers and the technique of each layer, as shown."""
    strip = page.get_by_role("toolbar", name="Layers").get_by_role("button")
    return page.locator("#metrics").inner_text(), [
        block.get_attribute("aria-label") or "" for block in strip.all()
    ]


def drag(page: Page, goal: str, share: float) -> None:
    """Drags a slider's thumb with the mouse to that share of its track."""
    thumb = slider(page, goal)
    thumb.scroll_into_view_if_needed()
    box = thumb.bounding_box()
    now = float(thumb.input_value()) / 100
    y = box["y"] + box["height"] / 2
    reach = box["width"] - 18
    page.mouse.move(box["x"] + 9 + reach * now, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 9 + reach * share, y, steps=12)
    page.mouse.up()


def tab_to(page: Page, name: str) -> None:
    """Presses Tab until the element of that name has the focus, as a person would."""
    for _ in range(150):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(e => e.matches('a, button, input, summary, [role=group]') && "
            "(e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText))"
            "(document.activeElement) || ''"
        )
        is_help = focused.startswith("About ")  # about the same words
        if name.lower() in focused.lower() and not is_help:
            return
    raise AssertionError(f"Tab never reached {name!r}")


def check_widths(page: Page, name: str) -> None:
    """No page scrolls sideways on a phone, a tablet or a desk."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{name}-{width}.png", full_page=True)
        assert wide <= width, f"{name} is {wide} pixels wide in a window of {width}"


def digits_accuracy(model: Path) -> float:
    """Share of the 10,000 test images that a digits network gets right in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.read_bytes(), options)
    with np.load(DIGITS / "data.npz", allow_pickle=False) as data:
        x, y = data["x_test"], data["y_test"]
    x = (x.astype(np.float32) / 255 - 0.1307) / 0.3081
    (name,) = [entry.name for entry in session.get_inputs()]
    logits = np.concatenate([session.run(None, {name: part})[0] for part in np.split(x, 40)])
    return float((logits.argmax(1) == y).mean())
