"""How long a browser takes to become a calibrated device, and how far two measurements of it differ.

Starts AdaDeep with an empty data folder, opens the digits sample and, once it is studied, lets a real Chromium measure
itself twice with the sample's network: ``python -m benchmarks.device_browser``. Prints one JSON object.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import sync_playwright

from benchmarks.slider import CHROMIUM, URL, running

if TYPE_CHECKING:
    from playwright.sync_api import Page

STUDIED_S, MEASURED_S = 300, 150


def studied_sample(client: httpx.Client) -> str:
    """The digits sample's project, when nothing works on it any more."""
    token = client.get("/").text.split('name="csrf-token" content="')[1].split('"')[0]
    headers = {"X-CSRFToken": token, "Origin": URL}
    opened = client.post("/api/samples/digits/open", headers=headers).raise_for_status().json()
    deadline = time.monotonic() + STUDIED_S
    while (
        not client.get(f"/api/projects/{opened['id']}/studio").json()["study"].get("finished")
    ):
        if time.monotonic() > deadline:
            raise TimeoutError("the study did not end")
        time.sleep(1)
    return str(opened["id"])


def measure(page: Page, project: str) -> tuple[float, dict[str, Any], dict[str, Any]]:
    """Seconds from the click to the calibrated device, what the browser sent, and what it was told."""
    page.goto(f"/devices/measure/{project}/")
    button = page.get_by_role("button", name="Measure this browser")
    button.wait_for()
    started = time.monotonic()
    with page.expect_response("**/runs", timeout=1000 * MEASURED_S) as answer:
        button.click()
    page.locator("#result-title").wait_for()
    seconds = time.monotonic() - started
    return seconds, json.loads(answer.value.request.post_data or ""), answer.value.json()


def ratios(first: dict[str, Any], second: dict[str, Any]) -> list[float]:
    """By how much the medians of each graph differ, the larger over the smaller."""
    medians = [
        {row["name"]: statistics.median(row["runs_ms"]) for row in sent["runs"]}
        for sent in (first, second)
    ]
    return sorted(
        max(medians[0][name], medians[1][name]) / min(medians[0][name], medians[1][name])
        for name in medians[0]
    )


def main() -> None:
    with running(), httpx.Client(base_url=URL) as client, sync_playwright() as playwright:
        project = studied_sample(client)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        page = browser.new_page(base_url=URL)
        (first_s, first, _), (second_s, second, told) = (measure(page, project) for _ in "ab")
        browser.close()
    apart = ratios(first, second)
    own = [row for row in told["rows"] if row["name"].endswith("original")]
    row = {
        "seconds": [round(first_s, 1), round(second_s, 1)],
        "graphs": len(apart),
        "repeats_within_median": round(statistics.median(apart) - 1, 3),
        "repeats_within_worst": round(apart[-1] - 1, 3),
        "drift": [round(sent["environment"]["drift"], 3) for sent in (first, second)],
        "error_before": round(told["error_before"], 2),
        "error_after": round(told["error_after"], 2),
        "network_ms": {
            key: round(own[0][key], 3) for key in ("measured_ms", "before_ms", "after_ms")
        },
    }
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
