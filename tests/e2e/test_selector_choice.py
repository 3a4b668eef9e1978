"""A build whose recipe another method finds, from the studio's choice to the report."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import staging, steps
from tests.e2e.axe import grave
from tests.e2e.conftest import opened

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

PUBLISHED = "AdaDeep as published (paper)"

LEARNS = """
import time
for number in range(1, 5):
    say(stage, "metric", data={"phase": 1.0, "episode": 10 * number, "episodes": 40, "reward": -0.5 + 0.2 * number,
                               "loss": 0.2 / number, "epsilon": 0.9, "best": 0.2 + 0.1 * number})
    time.sleep(0.8)
"""


def test_published_form_is_chosen_built_and_named(browser, staged):
    studio = f"/projects/{staging.studied(staged, seed=41)}/"
    staged.tell_engine(RECOVER={"code": LEARNS})
    with opened(browser, staged.url, bypass_csp=True) as page:
        page.goto(studio)
        expect(steps.build_button(page)).to_be_enabled(timeout=30_000)
        expect(page.locator("#build-by")).to_be_hidden()
        _choose(page)
        _keep(page, "studio")
        assert grave(page) == []
        steps.check_widths(page, "selector-choice")
        expect(page.locator("#bar-line")).to_have_text(f"Chosen by {PUBLISHED}")
        page.set_viewport_size({"width": 1440, "height": 900})
        steps.build_button(page).click()
        page.wait_for_url("**/jobs/**")
        expect(page.locator("#wishes")).to_contain_text(
            f"chosen by {PUBLISHED}, counting analytic (paper)"
        )
        expect(
            page.get_by_role("heading", name="How the published agents learn")
        ).to_be_visible()
        expect(page.locator("#job-pill")).to_have_text("Finished", timeout=60_000)
        expect(page.locator("#reward .plot")).to_have_attribute(
            "aria-label", re.compile("The best recipe so far has 0.60")
        )
        _keep(page, "job")
        page.get_by_role("link", name="Open report").click()
        expect(page.locator("#how")).to_contain_text("answered by AdaDeep as published")
        page.goto(studio)
        expect(page.locator("#builds")).to_contain_text(f"chosen by {PUBLISHED}")


def _choose(page: Page) -> None:
    """By keyboard, as far as the fold; what the choice means is said at once."""
    steps.tab_to(page, "Chosen by")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Method")).to_be_focused()
    views = page.get_by_label("Energy and latency that it counts")
    expect(views).to_be_hidden()
    page.get_by_label("Method").select_option(label=PUBLISHED)
    expect(page.get_by_text("Trains two agents anew for this demand.")).to_be_visible()
    note = page.locator("#build-by")
    expect(note).to_contain_text(f"builds what {PUBLISHED} finds, not the recipe shown")
    views.select_option(label="Analytic (paper)")
    expect(page.get_by_text("never mixed with millijoules")).to_be_visible()


def _keep(page: Page, name: str) -> None:
    """A picture of a desk, where pictures are kept."""
    if shots := os.environ.get("E2E_SHOTS"):
        page.wait_for_timeout(600)
        page.screenshot(path=Path(shots) / f"selector-{name}.png", full_page=True)
