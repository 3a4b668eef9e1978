"""The main path by mouse: bring LeNet and its data, choose by hand, build, download, run the file."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import steps

pytestmark = [
    pytest.mark.browser,
    pytest.mark.alone,  # the first answer has its time
    pytest.mark.timeout(900),
]


def test_a_person_makes_lenet_smaller(page: Page, tmp_path):
    base = steps.DIGITS / "model.onnx"
    steps.upload(page, base, steps.DIGITS / "data.npz")
    page.get_by_role("link", name="Open studio").or_(
        page.get_by_role("button", name="Open studio")
    ).click()
    page.wait_for_url(re.compile("/projects/"))
    steps.wait_for_answers(page, seconds=240)
    steps.check_widths(page, "studio")

    _dragging_moves_the_recommendation(page)
    page.get_by_role("group", name="Accuracy").get_by_role("checkbox").check()

    steps.build_button(page).click()
    page.wait_for_url(re.compile("/jobs/"))
    _progress_is_live(page)
    steps.check_widths(page, "job")

    report = page.get_by_role("link", name=re.compile("report", re.IGNORECASE)).first
    expect(report).to_be_visible(timeout=300_000)
    report.click()
    page.wait_for_url(re.compile("/result/"))
    expect(page.get_by_role("heading", name="Measured against predicted")).to_be_visible()
    steps.check_widths(page, "result")

    model = _download(page, ".onnx", tmp_path)
    report = json.loads(_download(page, "report.json", tmp_path).read_text())
    assert steps.digits_accuracy(model) == pytest.approx(report["result"]["accuracy"], abs=2e-4)
    assert steps.digits_accuracy(base) - steps.digits_accuracy(model) <= 0.02
    assert base.stat().st_size / model.stat().st_size >= 4


def _dragging_moves_the_recommendation(page: Page) -> None:
    page.get_by_role("button", name="Most accurate").click()
    before = steps.recommendation(page)
    steps.drag(page, "Storage", 1.0)
    steps.drag(page, "Accuracy", 0.1)
    expect(page.locator("#metrics")).not_to_have_text(before[0])
    page.wait_for_timeout(600)  # the policy's answer may replace the candidate
    assert steps.recommendation(page)[1] != before[1]


def _progress_is_live(page: Page) -> None:
    """The page changes by itself, and a reload brings everything back."""
    expect(page.locator("#job-pill")).to_contain_text("Running", timeout=180_000)
    log = page.get_by_role("log")
    first = log.inner_text()
    expect(log).not_to_have_text(first, timeout=90_000)
    lines = len(log.inner_text().splitlines())
    page.reload()
    page.wait_for_timeout(1500)
    assert len(page.get_by_role("log").inner_text().splitlines()) >= lines


def _download(page: Page, name: str, folder: Path) -> Path:
    row = page.get_by_role("table", name="Files").get_by_role("row").filter(has_text=name).first
    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()
    file = folder / name.lstrip(".")
    download.value.save_as(file)
    return file
