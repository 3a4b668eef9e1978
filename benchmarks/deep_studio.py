"""Whether the studio stays smooth for a deep network: script time at each move of a slider, in Chromium.

A study of a thousand layers is written as a finished search would leave it (tables drawn by seed, random recipes, the
agent as it comes); the real server answers. The candidates that it sends are multiplied to 2,000 and 5,000 on their
way to the page, each a little off. Prints how long the server took, then one JSON object a count.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import sync_playwright

from benchmarks.slider import CHROMIUM, script_ms_an_event
from tests.e2e import staging
from tests.webapp import study_files
from tests.webapp.running import Installation
from webapp.jobs.charts import tradeoff_data, tradeoff_figure

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

COUNTS = (300, 2000, 5000)
COSTS = ("drop_points", "latency_ms", "energy_mj", "size_bytes")


def many(studio: dict[str, Any], count: int) -> dict[str, Any]:
    """The study with so many candidates, chart and all."""
    dice = random.Random(0)  # noqa: S311
    known = studio["candidates"]
    extra = [
        _varied(known[number % len(known)], dice) | {"id": number + 1, "tiles": []}
        for number in range(len(known), count)
    ]
    candidates = [*known, *extra][:count]
    return {**studio, "candidates": candidates, "figure": _figure(candidates, studio)}


def _varied(candidate: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    factors = {name: dice.uniform(0.9, 1.3) for name in COSTS}
    ends = {
        name: pair and [factors[name] * end for end in pair]
        for name, pair in candidate["ends"].items()
    }
    return {
        **candidate,
        **{name: candidate[name] * factor for name, factor in factors.items()},
        "ends": ends,
    }


def _figure(candidates: list[dict[str, Any]], studio: dict[str, Any]) -> dict[str, Any]:
    return tradeoff_figure(tradeoff_data(candidates, studio["baseline"], {}))


def measured(page: Page, address: str, studio: dict[str, Any], count: int) -> dict[str, float]:
    """What a person feels on a study with so many candidates."""

    def multiplied(route: Route) -> None:
        route.fulfill(json=many(studio, count))

    page.route("**/api/projects/*/studio*", multiplied)
    page.goto(address)
    page.get_by_role("toolbar", name="Layers of the recipe").get_by_role(
        "button"
    ).first.wait_for()
    page.locator(".star path").wait_for()
    page.wait_for_timeout(5000)
    script = script_ms_an_event(page)
    own = page.evaluate(OWN_MS)
    page.unroute_all()
    return {"candidates": count, "script_ms_an_event": round(script, 2), **own}


def opened(url: str) -> dict[str, Any]:
    """What the server tells of the study; the second time nothing is priced for the first time."""
    for which in ("first", "next"):
        started = time.monotonic()
        answer = httpx.get(url, timeout=300).raise_for_status()
        print(
            f"{which} time: {time.monotonic() - started:.1f} s, {len(answer.content)} bytes",
            flush=True,
        )
    found: dict[str, Any] = answer.json()
    return found


OWN_MS = """() => {
  const at = (list, q) => [...list].sort((a, b) => a - b)[Math.floor(q * (list.length - 1))] ?? 0;
  const { input, answer } = window.adadeepTimings;
  const round = (ms) => Math.round(100 * ms) / 100;
  return {
    handlers_p50_ms: round(at(input, 0.5)), handlers_p95_ms: round(at(input, 0.95)),
    answer_p95_ms: round(at(answer, 0.95)), layers: document.querySelectorAll('#layers tbody tr').length,
    blocks: document.querySelectorAll('.recipe button').length,
  };
}"""
"""What the page's own clock says of its handlers, frames and answers; and how much of the network it shows."""


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        study_files.write_deep(folder / "study")
        with Installation(folder) as running, sync_playwright() as playwright:
            project = staging.studied(running)
            studio = opened(f"{running.url}/api/projects/{project}/studio")
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=CHROMIUM
            )
            address = f"{running.url}/projects/{project}/"
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            for count in COUNTS:
                print(json.dumps(measured(page, address, studio, count)), flush=True)
            browser.close()


if __name__ == "__main__":
    main()
