"""The product in every state within seconds: real pages, server and workers, an engine that pretends."""

import http.client
import json
from collections.abc import Sequence
from urllib.parse import quote

from tests.webapp import small_files, study_files
from tests.webapp.running import ROOT, Installation
from webapp.devices.kit import kit_graphs

LANGUAGES = ("Python", "Android", "C++", "ncnn", "LiteRT", "ExecuTorch")
"""In which a report may say how to run its model, where all converters are installed."""
WHOLE_REPORT = ROOT / "tests" / "js" / "fixtures" / "report.json"

FOREVER_S = 600


def prepared(folder, **options) -> Installation:
    """An installation whose studies find what LeNet's would."""
    study_files.write(folder / "study")
    report = json.loads(WHOLE_REPORT.read_text(encoding="utf-8"))
    report["artifacts"] = [{"path": "model.onnx", "primary": True}]
    report["snippets"] = [
        {
            "name": title.lower(),
            "title": title,
            "syntax": "text",
            "code": f"run model.onnx by {title}",
        }
        for title in LANGUAGES
    ]
    (folder / "report.json").write_text(json.dumps(report))
    return Installation(folder, **options)


def project(staged: Installation, name: str = "points.onnx", seed: int = 0) -> str:
    """A project of two small uploads, another for each seed."""
    model = _upload(staged, "model", name, small_files.onnx_bytes(f"tiny{seed}"))
    data = _upload(staged, "data", "points.npz", small_files.npz_bytes(seed))
    answer = staged.call("POST", "/api/projects", {"model": model, "data": data})
    return answer["id"]


def studied(staged: Installation, name: str = "points.onnx", seed: int = 0) -> str:
    """A project whose study is done."""
    found = project(staged, name, seed)
    staged.wait_for_state(study_of(staged, found), "done")
    return found


def study_of(staged: Installation, project_id: str) -> str:
    return staged.call("GET", f"/api/projects/{project_id}")["job"]["id"]


def built(staged: Installation, project_id: str) -> str:
    """A build of its own that is done."""
    wanted = {"target": "redmi-3s", "budgets": {"max_accuracy_drop": 1.0}, "again": True}
    job = staged.call("POST", f"/api/projects/{project_id}/builds", wanted)["job"]
    staged.wait_for_state(job, "done")
    return job


def shared(staged: Installation, job: str) -> str:
    """A link to the report of a build, with its files."""
    wanted = {"days": 1, "with_files": True}
    return staged.call("POST", f"/api/jobs/{job}/shares", wanted)["url"]


def addresses(staged: Installation) -> dict[str, str]:
    """A page in each of its states. The worker is busy afterwards, with a job that does not end."""
    ready = studied(staged)
    job = built(staged, ready)
    staged.tell_engine(PROBE={"exit": 1, "error": "conv1 cannot be probed. Leave it out."})
    failed = project(staged, seed=1)
    staged.wait_for_state(study_of(staged, failed), "failed")
    staged.tell_engine(PROBE={"part_s": FOREVER_S})
    running = project(staged, seed=2)
    staged.wait_for_state(study_of(staged, running), "running")
    waiting = project(staged, seed=3)
    return {
        "home": "/",
        "studio while it studies": f"/projects/{running}/",
        "studio": f"/projects/{ready}/",
        "model": f"/projects/{ready}/model/?target=rpi4",
        "model while it is studied": f"/projects/{running}/model/",
        "model not read yet": f"/projects/{waiting}/model/",
        "studio of a failed study": f"/projects/{failed}/",
        "job running": f"/jobs/{study_of(staged, running)}/",
        "job waiting": f"/jobs/{study_of(staged, waiting)}/",
        "job done": f"/jobs/{job}/",
        "job failed": f"/jobs/{study_of(staged, failed)}/",
        "result": f"/jobs/{job}/result/",
        "compare": f"/compare/?a={ready}@this-host&b={job}",
        "report of a link": shared(staged, job),
        "account": "/account/",
        "one's data": "/account/data/",
        "status": "/status/",
        "measure this browser": "/devices/measure/",
        "devices": "/devices/",
        "device": "/devices/rpi4/",
        "measure a browser": f"/devices/measure/{ready}/",
        "device of one's own": own_device(staged, "Kitchen tablet"),
        "device not measured yet": own_device(staged, "Old phone", times=()),
        "not found": "/jobs/00000000-0000-0000-0000-000000000000/",
    }


def own_device(staged: Installation, title: str, times: Sequence[float] = (4.0, 4.2)) -> str:
    """The page of a device whose graphs all took these times; the last one is no time."""
    made = {"title": title, "prior": "rpi4", "runtime": "onnxruntime", "threads": 1}
    device = staged.call("POST", "/api/own-devices", made)
    if times:
        names = list(kit_graphs())
        runs = [{"name": name, "runs_ms": list(times)} for name in names[:-1]]
        runs.append({"name": names[-1], "runs_ms": [-1]})
        path = f"/api/v1/own-devices/{device['id']}/measurements"
        staged.call("POST", path, {"runs": runs})
    return device["url"]


def _upload(staged: Installation, kind: str, name: str, content: bytes) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", staged.port, timeout=20)
    token = "a" * 32
    headers = {
        "Cookie": f"csrftoken={token}",
        "X-CSRFToken": token,
        "Content-Type": "application/octet-stream",
    }
    connection.request("POST", f"/api/v1/uploads/{kind}?name={quote(name)}", content, headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["id"]
