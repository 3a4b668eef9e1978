"""How long a person waits: for the first answer, the first artifact, and at each move of a slider.

Starts AdaDeep with an empty data folder, opens the digits sample, asks for a build as soon as the sliders
answer, waits for both, then sends random goals over the socket; after that a real Chromium drags a
slider. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import numpy as np
from playwright.sync_api import sync_playwright
from websockets.sync.client import connect
from websockets.typing import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

PORT = 8765
URL = f"http://127.0.0.1:{PORT}"
QUESTIONS, EVENTS = 200, 300
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
]


@contextmanager
def running() -> Iterator[None]:
    """AdaDeep on its own port and data folder."""
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(PORT)],
            env={**os.environ, "ADADEEP_HOME": home},
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_until(_healthy, 60)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def open_sample(client: httpx.Client) -> tuple[str, float, float]:
    """The path of the studio, and the seconds from the click to the first answer and artifact."""
    page = client.get("/").text
    token = page.split('name="csrf-token" content="')[1].split('"')[0]
    started = time.monotonic()
    headers = {"X-CSRFToken": token, "Origin": URL}
    opened = client.post("/api/samples/digits/open", headers=headers).raise_for_status().json()
    studio = f"/api/projects/{opened['id']}/studio?target=this-host"
    _wait_until(lambda: client.get(studio).json().get("selection") is not None, 300)
    answered = time.monotonic() - started
    wanted = {"budgets": {"max_accuracy_drop": 1.0}, "target": "this-host"}
    address = f"/api/projects/{opened['id']}/builds"
    build = client.post(address, headers=headers, json=wanted).raise_for_status().json()
    job = f"/api/jobs/{build['job']}"
    # The rest of the study and the build keep the cores busy; the answers are timed after them.
    _wait_until(lambda: client.get(job).json()["state"] not in ("queued", "running"), 900)
    ended = time.monotonic() - started
    if client.get(job).json()["state"] != "done":
        raise RuntimeError(f"the build ended {client.get(job).json()['state']}")
    return opened["url"], answered, ended


def answer_ms(path: str) -> list[float]:
    """Round trips of random goals over the socket, one at a time."""
    dice = random.Random(0)  # noqa: S311
    times = []
    address = URL.replace("http", "ws") + "/ws" + path
    with connect(address, origin=Origin(URL)) as socket:
        for n in range(QUESTIONS):
            keys = ("accuracy", "latency", "energy", "storage")
            goals = {key: dice.random() for key in keys}
            target = dice.choice(["this-host", "redmi-3s", "rpi4"])
            question = {
                "kind": "goals",
                "n": n,
                "goals": goals,
                "budgets": {},
                "target": target,
            }
            started = time.perf_counter()
            socket.send(json.dumps(question | {"locks": {}}))
            while json.loads(socket.recv(timeout=30)).get("n") != n:
                pass
            times.append((time.perf_counter() - started) * 1e3)
            time.sleep(0.06)  # the server answers at most 20 times a second
    return times


def script_ms(path: str) -> float:
    """Script time of the page for one input event of a slider, a frame each."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        page = browser.new_page(base_url=URL, viewport={"width": 1440, "height": 900})
        page.goto(path)
        page.get_by_role("slider", name="Storage", exact=True).wait_for()
        page.wait_for_timeout(3000)
        taken_ms = script_ms_an_event(page)
        browser.close()
    return taken_ms


def script_ms_an_event(page: Page) -> float:
    """The same on a studio page that is open and quiet, everything in it that runs meanwhile included."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = _script_seconds(session.send("Performance.getMetrics"))
    page.get_by_role("slider", name="Storage", exact=True).evaluate(
        """async (input, events) => {
          for (let i = 0; i < events; i++) {
            input.value = String(i % 101);
            input.dispatchEvent(new Event('input', {bubbles: true}));
            await new Promise(requestAnimationFrame);
          }
        }""",
        EVENTS,
    )
    after = _script_seconds(session.send("Performance.getMetrics"))
    return (after - before) / EVENTS * 1e3


def _script_seconds(answer: dict[str, list[dict[str, float | str]]]) -> float:
    return next(
        float(row["value"]) for row in answer["metrics"] if row["name"] == "ScriptDuration"
    )


def _healthy() -> bool:
    try:
        return httpx.get(f"{URL}/healthz").is_success
    except httpx.TransportError:
        return False


def _wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(0.5)


def main() -> None:
    with running(), httpx.Client(base_url=URL) as client:
        path, answered, built = open_sample(client)
        times = answer_ms(path)
        row = {
            "seconds_to_first_answer": round(answered, 1),
            "seconds_to_artifact": round(built, 1),
            "answer_p50_ms": round(float(np.percentile(times, 50)), 1),
            "answer_p95_ms": round(float(np.percentile(times, 95)), 1),
            "script_ms_an_event": round(script_ms(path), 2),
        }
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
