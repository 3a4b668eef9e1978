"""Two tabs, the Back button, a lost server, impatient clicks and names that are not nice."""

import json
import re
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import staging, steps

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MARKUP = '<img src=x onerror="document.title=1"><b>points'
LONG = "a" * 195
FROM_RIGHT = "نموذج صغير 12"


@pytest.fixture(scope="module")
def studied(staged):
    return staging.studied(staged)


def open_studio(page: Page, project_id: str) -> None:
    page.goto(f"/projects/{project_id}/")
    steps.wait_for_answers(page, seconds=60)


def limit(page: Page, goal: str):
    return page.get_by_role("spinbutton", name=re.compile(f"^{goal} limit"))


def test_sample_to_download_takes_four_clicks(staged_page: Page):
    page = staged_page
    page.add_init_script(
        "addEventListener('click', e => e.isTrusted && sessionStorage.setItem("
        "'clicks', Number(sessionStorage.getItem('clicks')) + 1), true)"
    )
    page.goto("/")
    page.get_by_role("button", name="Handwritten digits").click()
    page.wait_for_url(re.compile("/projects/"), timeout=30_000)
    steps.wait_for_answers(page, seconds=60)
    steps.build_button(page).click()
    page.wait_for_url(re.compile("/jobs/"))
    page.get_by_role("link", name="Open report").click(timeout=60_000)
    page.wait_for_url(re.compile("/result/"))
    with page.expect_download():
        page.get_by_role("link", name="Download model.onnx").click()
    assert page.evaluate("Number(sessionStorage.getItem('clicks'))") == 4


def test_back_brings_what_was_typed(staged_page: Page, studied):
    page = staged_page
    open_studio(page, studied)
    slider = steps.slider(page, "Energy")
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    limit(page, "Storage").fill("0.123")
    page.get_by_role("checkbox", name="Within limits only").check()
    page.get_by_role("link", name="Study progress").click()
    page.wait_for_url(re.compile("/jobs/"))
    page.get_by_role("searchbox", name="Filter the log").fill("probe")
    page.get_by_role("link", name="Projects").first.click()
    page.go_back()
    expect(page.get_by_role("searchbox", name="Filter the log")).to_have_value("probe")
    expect(page.get_by_role("log")).not_to_contain_text("INSPECT begins")
    page.go_back()
    steps.wait_for_answers(page, seconds=60)
    expect(slider).to_have_value("10")
    expect(limit(page, "Storage")).to_have_value("0.123")
    expect(page.get_by_role("checkbox", name="Within limits only")).to_be_checked()


def test_late_answer_does_not_bring_back_an_ended_job(staged_page: Page, staged):
    page, late = staged_page, []
    staged.tell_engine(PROBE={"part_s": staging.FOREVER_S})
    job = staging.study_of(staged, staging.project(staged, seed=7))
    staged.wait_for_stage(job, "PROBE")
    staged.tell_engine()
    page.route("**/events?after=*", lambda route: late.append((route, route.fetch())))
    page.goto(f"/jobs/{job}/")
    expect(page.locator("#job-pill")).to_have_text(re.compile("Running|Probe"))
    page.wait_for_timeout(500)
    assert late
    staged.call("POST", f"/api/jobs/{job}/cancel")
    expect(page.locator("#job-pill")).to_have_text("Cancelled")
    for route, answer in late:
        route.fulfill(response=answer)
    page.wait_for_timeout(500)
    expect(page.locator("#job-pill")).to_have_text("Cancelled")


def test_two_tabs_on_one_job_agree(staged_page: Page, staged):
    staged.tell_engine(PROBE={"part_s": staging.FOREVER_S})
    job = staging.study_of(staged, staging.project(staged, seed=4))
    staged.wait_for_stage(job, "PROBE")
    staged.tell_engine()
    one, two = staged_page, staged_page.context.new_page()
    for tab in (one, two):
        tab.goto(f"/jobs/{job}/")
        expect(tab.locator("#job-pill")).to_contain_text("Running")
    one.get_by_role("button", name="Cancel", exact=True).click()
    one.get_by_role("button", name="Keep and stop").click()
    for tab in (one, two):
        expect(tab.locator("#job-pill")).to_contain_text("Cancelled", timeout=20_000)
        expect(tab.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    logs = [tab.get_by_role("log").inner_text() for tab in (one, two)]
    assert logs[0] == logs[1]


def test_studio_opens_again_after_its_device_was_deleted(staged_page: Page, staged):
    page, ready = staged_page, staging.studied(staged, seed=5)
    key = staging.own_device(staged, "Lent phone").rstrip("/").rpartition("own-")[-1]
    open_studio(page, ready)
    page.get_by_role("button", name=re.compile("Target device")).click()
    page.get_by_role("radio", name=re.compile("Lent phone")).click()
    expect(
        page.get_by_role("button", name=re.compile("Target device: Lent phone"))
    ).to_be_visible()
    steps.wait_until(page, "history.state?.typed?.target?.startsWith('own-')")
    staged.call("DELETE", f"/api/own-devices/{UUID(key)}")
    page.reload()
    steps.wait_for_answers(page, seconds=30)
    expect(page.get_by_role("button", name=re.compile("Target device: This"))).to_be_visible()
    page.faults = [line for line in page.faults if "404" not in line]


def test_impatient_clicks_start_one_build(staged_page: Page, staged, studied):
    page = staged_page
    open_studio(page, studied)
    before = len(staged.call("GET", f"/api/projects/{studied}/studio")["builds"])
    page.route("**/builds", lambda route: (page.wait_for_timeout(600), route.continue_()))
    steps.build_button(page).dblclick()
    page.wait_for_url(re.compile("/jobs/"))
    after = len(staged.call("GET", f"/api/projects/{studied}/studio")["builds"])
    assert after == before + 1


def test_equal_build_is_opened_or_made_again(staged_page: Page, staged):
    page, project = staged_page, staging.studied(staged, seed=7)
    open_studio(page, project)
    steps.build_button(page).click()
    page.wait_for_url(re.compile("/jobs/"))
    first = page.url.split("/jobs/")[1].strip("/")
    staged.wait_for_state(first, "done")
    open_studio(page, project)
    steps.build_button(page).click()
    expect(page.get_by_text("Just this was built before")).to_be_visible()
    page.get_by_role("link", name="Open the build").click()
    page.wait_for_url(f"**/jobs/{first}/result/")
    open_studio(page, project)
    steps.build_button(page).click()
    page.get_by_role("button", name="Build again").click()
    page.wait_for_url(re.compile("/jobs/"))
    assert first not in page.url


def test_impatient_clicks_open_one_sample(staged_page: Page, staged):
    page = staged_page
    before = len(staged.call("GET", "/api/projects")["projects"])
    page.goto("/")
    page.get_by_role("button", name="Smartwatch motion").dblclick()
    page.wait_for_url(re.compile("/projects/"))
    assert len(staged.call("GET", "/api/projects")["projects"]) == before + 1


@pytest.mark.parametrize(
    "name", [MARKUP, LONG, FROM_RIGHT], ids=["markup", "long", "from right"]
)
def test_any_name_is_shown_as_text(staged_page: Page, staged, name):
    page, seed = staged_page, 10 + len(name)
    project = staging.studied(staged, f"{name}.onnx", seed)
    job = staging.built(staged, project)
    for address in ("/", f"/projects/{project}/", f"/jobs/{job}/", f"/jobs/{job}/result/"):
        page.goto(address)
        expect(page.get_by_text(name).first).to_be_visible()
        steps.check_widths(page, f"name{seed}{address.replace('/', '-')[:12]}")
        assert page.locator("img").count() == 0
        assert page.title() != "1"


def test_layer_names_are_shown_as_text(staged_page: Page, studied):
    page, name = staged_page, "<i>conv</i>"

    def renamed(route):
        text = route.fetch().text()
        route.fulfill(
            body=text.replace('"conv1"', f'"{name}"'), content_type="application/json"
        )

    page.route("**/api/projects/*/studio*", renamed)
    open_studio(page, studied)
    page.get_by_text("What fits where").click()
    expect(page.get_by_role("table", name=re.compile("^Applicability"))).to_contain_text(name)
    assert page.locator("main i", has_text="conv").count() == 0


LATER_FACTS = (
    *("layers", "per_class", "flipped", "search", "notes", "stages", "versions", "host"),
    *(
        "ratio_ranges",
        "accuracy_drop_ci_points",
        "agreement_with_original",
        "limits",
        "skipped",
    ),
)


def test_report_of_an_earlier_version_is_still_told(staged_page: Page, staged):
    page, path = staged_page, staged.home / "report.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({k: v for k, v in whole.items() if k not in LATER_FACTS}))
    try:
        job = staging.built(staged, staging.studied(staged, seed=6))
    finally:
        path.write_text(json.dumps(whole))
    page.goto(f"/jobs/{job}/result/")
    expect(page.get_by_role("table", name="Headline numbers")).to_contain_text("Storage")
    expect(page.get_by_role("link", name="Download model.onnx")).to_be_visible()
    for words in ("undefined", "NaN", "null", "[object"):
        assert words not in page.get_by_role("main").inner_text()


def test_lost_server_is_said_and_healed(staged_page: Page, staged, studied):
    page = staged_page
    open_studio(page, studied)
    metrics = page.locator("#metrics")
    before = metrics.inner_text()
    staged.stop()
    banner = page.get_by_text("Connection lost")
    expect(banner).to_be_visible(timeout=20_000)
    assert metrics.inner_text() == before
    expect(steps.build_button(page)).to_be_disabled()
    for goal, share in (("Accuracy", 0.0), ("Storage", 1.0)):
        steps.drag(page, goal, share)
    # Still answered, from the candidates on the page.
    expect(metrics).not_to_have_text(before, use_inner_text=True)
    staged.start()
    expect(banner).to_be_hidden(timeout=60_000)
    expect(steps.build_button(page)).to_be_enabled()
    page.faults = []  # what the browser says of the lost server
