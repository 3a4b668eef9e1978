"""Hundreds of broken and hostile uploads: who is told what, and does anything give way?

``python -m benchmarks.hostile_uploads [--first 0] [--count 320] [--out FILE]``: a running AdaDeep
with the real engine. Each file is sent as a browser sends it; what the upload takes becomes a
project with a good counterpart, whose study the engine inspects in its sandbox. Wanted: web
server and workers are the same processes at the end; no file lies outside its folder; no answer
takes the server more than 2 s of processor time; each file is taken or refused with a sentence.
Prints a line of JSON for each, then the table.
"""

from __future__ import annotations

import argparse
import http.client
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from benchmarks.hostile_data import MARKER, good_data
from benchmarks.hostile_files import Upload, hostile
from benchmarks.hostile_models import good_model
from tests.webapp.running import ROOT, Installation

MOST_WEB_S = 2.0
SETTINGS = {
    "ENGINE_COMMAND": "",
    "ENGINE_READABLE": "",
    "LEASE_HEARTBEAT_S": "5",
    "LEASE_LOST_S": "30",
}
"""The real engine, and leases as they are installed."""

LONGEST_INSPECTION_S = 120.0
TOKEN = "a" * 32
COUNTERPARTS = {"model": ("data", good_data), "data": ("model", good_model)}
HEADERS = {"Cookie": f"csrftoken={TOKEN}", "X-CSRFToken": TOKEN}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=320)
    parser.add_argument("--out", type=Path, help="append the lines to a file as well")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        before = _outside(Path(folder))
        with Installation(home, **SETTINGS) as running:
            processes = _long_lived(running)
            for number in range(asked.first, asked.first + asked.count):
                row = _tried(running, hostile(number))
                rows.append({"number": number, **row})
                print(json.dumps(rows[-1]), flush=True)
                if asked.out:
                    with asked.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
            gone = processes - _long_lived(running)
        strays = sorted((_outside(Path(folder)) - before) | _markers(home))
    _print_table(rows, len(gone), strays)


class Sender:
    """What browser and page send, and the longest that an answer took: seconds, and the server's."""

    def __init__(self, running: Installation) -> None:
        self.running, self.web = running, running.child("uvicorn")
        self.longest_s = self.longest_web_s = 0.0

    def upload(self, kind: str, name: str, content: bytes) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        path = f"/api/v1/uploads/{kind}?name={quote(name)}"
        return self.call("POST", path, content)

    def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        """Status and answer, empty where that is a page."""
        started, web_s = time.monotonic(), self._web_s()
        connection = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=60)
        kind = "application/json" if path == "/api/projects" else "application/octet-stream"
        connection.request(method, path, body, {**HEADERS, "Content-Type": kind})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.longest_s = max(self.longest_s, time.monotonic() - started)
        self.longest_web_s = max(self.longest_web_s, self._web_s() - web_s)
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(content) if is_json and content else {}

    def _web_s(self) -> float:
        times = self.web.cpu_times()
        return float(times.user + times.system)


def _tried(running: Installation, upload: Upload) -> dict[str, Any]:
    """What became of the upload: refused at once, refused by the engine, or taken."""
    sender = Sender(running)
    status, answer = sender.upload(upload.kind, upload.name, upload.content)
    if status >= 300:
        end = {"end": "refused", "sentence": answer.get("error", {}).get("message", "")}
    else:
        other, content = COUNTERPARTS[upload.kind]
        _, good = sender.upload(other, "good", content())  # anew: it goes with its project
        end = _inspected(sender, {upload.kind: answer["id"], other: good["id"]})
    return {
        "kind": upload.kind,
        "what": upload.what,
        "status": status,
        "longest_s": round(sender.longest_s, 2),
        "longest_web_s": round(sender.longest_web_s, 2),
        **end,
    }


def _inspected(sender: Sender, ids: dict[str, str]) -> dict[str, str]:
    """The study of a project with these files, until the engine has judged them."""
    status, made = sender.call("POST", "/api/projects", json.dumps(ids).encode())
    if status >= 300:
        return {"end": "not made a project", "sentence": made["error"]["message"]}
    project = f"/api/projects/{made['id']}"
    job = sender.call("GET", project)[1]["job"]["id"]
    deadline = time.monotonic() + LONGEST_INSPECTION_S
    while True:
        state = sender.call("GET", f"/api/jobs/{job}")[1]
        if state["state"] not in ("queued", "running") or state["stages"][0]["state"] == "done":
            break
        if time.monotonic() > deadline:
            state = {"state": "hangs", "message": "", "reference": ""}
            break
        time.sleep(0.1)
    end = "taken" if state["state"] in ("queued", "running") else state["state"]
    sender.call("GET", f"/projects/{made['id']}/")
    sender.call("DELETE", project)
    is_refused = end == "failed" and not state["reference"]
    return {
        "end": "refused by the engine" if is_refused else end,
        "sentence": state["message"],
    }


def _long_lived(running: Installation) -> set[tuple[int, float]]:
    """Web server, workers and broker: none of them may have been started anew."""
    words = ("uvicorn", "celery", "valkey")
    family = [
        p for p in running.family() if any(word in " ".join(p.cmdline()) for word in words)
    ]
    return {(p.pid, p.create_time()) for p in (psutil.Process(running.process.pid), *family)}


def _outside(folder: Path) -> set[str]:
    """What lies beside the data folder, at the root of the disk and in the program's folder."""
    places = (folder, Path("/"), Path("/tmp"), ROOT)  # noqa: S108 - looked at only
    found = {str(path) for place in places for path in place.iterdir() if MARKER in path.name}
    return found | {str(path) for path in folder.iterdir() if path.name != "home"}


def _markers(home: Path) -> set[str]:
    return {str(path) for path in home.rglob(f"*{MARKER}*")}


def _print_table(rows: list[dict[str, Any]], restarted: int, strays: list[str]) -> None:
    print("\n| what | files | refused at once | by the engine | taken | otherwise |")
    print("|---|---|---|---|---|---|")
    ends = ("refused", "refused by the engine", "taken")
    for kind in ("model", "data"):
        counts = Counter(row["end"] for row in rows if row["kind"] == kind)
        other = {end: n for end, n in counts.items() if end not in ends}
        told = " | ".join(str(counts[end]) for end in ends)
        print(f"| {kind} | {counts.total()} | {told} | {other or 0} |")
    silent = [row["number"] for row in rows if row["end"] != "taken" and not row["sentence"]]
    slow = [row["number"] for row in rows if row["longest_web_s"] > MOST_WEB_S]
    longest, web = (max(row[name] for row in rows) for name in ("longest_s", "longest_web_s"))
    faults = [row["number"] for row in rows if row["status"] >= 500]
    print(f"Processes started anew: {restarted}. Files elsewhere: {strays}.")
    print(f"Longest answer {longest} s; {web} s of web time, over {MOST_WEB_S:.0f} s: {slow}.")
    print(f"Without a sentence: {silent}. Server errors: {faults}.")


if __name__ == "__main__":
    main()
