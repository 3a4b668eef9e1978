import json
import re

import numpy as np
import pytest
from django.conf import settings

from compression.cost import device_names, latency_ms, load_device
from compression.types import Precision
from tests.webapp import making
from tests.webapp.agents.test_finalists import KEPT, keep_candidates
from tests.webapp.fetching import fetched
from tests.webapp.test_job_pages import drain
from webapp import browserruntime
from webapp.devices.browsers import KINDS, RUNTIMES
from webapp.devices.kit import kit_graphs
from webapp.devices.models import Measurement, OwnDevice

pytestmark = pytest.mark.django_db(transaction=True)

PAGE, RUNS = "/devices/measure/", "/api/devices/measure/runs"


def delivery(**values):
    """What a browser would send whose device is three times slower than a Raspberry Pi 4."""
    board = load_device("rpi4")
    times = {
        graph.name: 3 * float(latency_ms(np.array(graph.features), board, Precision.FP32))
        for graph in kit_graphs().values()
    }
    runs = [{"name": name, "runs_ms": [0.97 * ms, ms, 1.1 * ms]} for name, ms in times.items()]
    usual = {"title": "Chrome 156 on Android", "prior": "pixel-6", "threads": 1}
    return {**usual, "environment": {"drift": 0.02}, "runs": runs, **values}


def send(client, values, url=RUNS):
    return client.post(url, json.dumps(values), content_type="application/json")


@pytest.fixture
def project(user, study_folder):
    return making.studied(user, study_folder)


def test_this_page_alone_may_run_web_assembly(client):
    answer = client.get(PAGE)
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "worker-src 'self'" in policy
    assert answer["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    script = fetched("/static/js/workers/measure.js").headers
    assert script["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "'wasm-unsafe-eval'" in script["Content-Security-Policy"]


def test_page_offers_the_kit_and_devices_to_start_from(client):
    page = client.get(PAGE).context["page"]
    assert [graph["name"] for graph in page["graphs"]] == list(kit_graphs())
    assert client.get(page["graphs"][0]["url"]).status_code == 200
    assert {kind.prior for kind in KINDS} < {row["name"] for row in page["catalogue"]}
    assert len(page["catalogue"]) == len(device_names()) - 1


def test_page_says_what_to_do_where_the_runtime_is_missing(client, settings, tmp_path):
    settings.BROWSER_RUNTIME = tmp_path
    answer = client.get(PAGE)
    assert answer.context["page"]["runtime"] is None
    assert "make browser-runtime" in answer.content.decode()


@pytest.mark.skipif(
    not browserruntime.is_complete(settings.BROWSER_RUNTIME),
    reason="the runtime that measures browsers is not there: make browser-runtime",
)
def test_page_names_where_the_runtime_lies(client):
    folder = client.get(PAGE).context["page"]["runtime"]
    assert fetched(f"{folder}ort.wasm.min.mjs").status_code == 200


def test_measured_browser_is_a_target_of_its_own_runtime(client):
    found = send(client, delivery()).json()
    assert found["device"]["label"] == "calibrated"
    assert found["device"]["runtime"] == RUNTIMES["wasm"]
    assert (found["device"]["threads"], found["refused"]) == (1, {})
    assert len(found["rows"]) == len(kit_graphs())
    assert found["error_after"] < found["error_before"]
    assert client.get(found["url"]).status_code == 200
    targets = client.get("/api/devices").json()["targets"]
    assert found["device"]["name"] in [target["name"] for target in targets]


def test_same_browser_measured_again_stays_one_device(client):
    first = send(client, delivery()).json()
    again = send(client, delivery()).json()
    assert again["device"]["name"] == first["device"]["name"]
    other = send(client, delivery(threads=2)).json()
    assert other["device"]["name"] != first["device"]["name"]
    assert Measurement.objects.count() == 3 * len(kit_graphs())


def test_graphics_chip_is_a_device_of_its_own(client):
    processor = send(client, delivery()).json()
    chip = send(client, delivery(backend="webgpu")).json()
    assert chip["device"]["runtime"] == RUNTIMES["webgpu"]
    assert chip["device"]["name"] != processor["device"]["name"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"backend": "webgl"}, "computes by wasm or webgpu, not 'webgl'"),
        ({"backend": ["wasm"]}, "computes by wasm or webgpu"),
        ({"runs": []}, "no measurements"),
        ({"runs": [{"name": "mobile"}]}, "a name and a list of runs"),
        ({"runs": "fast"}, "a name and a list of runs"),
        ({"runs": [{"name": "artifact:1", "runs_ms": [1]}]}, "offered no network 'artifact:1'"),
        ({"runs": [{"name": "mobile", "runs_ms": [-1, 0]}]}, "-1 ms is no time"),
        ({"runs": [{"name": "mobile", "runs_ms": [1e9]}]}, "times more than"),
        ({"environment": "none"}, "environment"),
        ({"prior": "this-host"}, "no device of the catalogue to start from"),
        ({"prior": ["rpi4"]}, "no device of the catalogue to start from"),
        ({"threads": 0}, "Threads must be"),
        ({"threads": "two"}, "Threads must be 1 to 256; got two"),
        ({"threads": 10**30}, "Threads must be"),
        ({"title": ""}, "title must have"),
    ],
)
def test_what_is_no_measurement_is_refused_and_leaves_no_device(client, values, reason):
    answer = send(client, delivery(**values))
    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]
    assert not OwnDevice.objects.exists()


def test_one_absurd_time_is_set_aside_with_its_reason(client):
    runs = [*delivery()["runs"][:-1], {"name": "mobile", "runs_ms": [1e9]}]
    found = send(client, delivery(runs=runs)).json()
    assert "times more than" in found["refused"]["mobile"]
    assert len(found["rows"]) == len(kit_graphs()) - 1


def test_networks_of_a_project_are_offered_and_predicted(client, project):
    url = f"/devices/measure/{project.id}/"
    page = client.get(url).context["page"]
    (original,) = page["networks"]
    assert (original["title"], original["name"]) == (
        "Original",
        f"model:{project.study.job.id}",
    )
    file = client.get(original["url"])
    assert b"".join(drain(file)) == making.onnx_bytes()
    assert int(file["Content-Length"]) == len(making.onnx_bytes())
    runs = [*delivery()["runs"], {"name": original["name"], "runs_ms": [0.2, 0.21, 0.2]}]
    found = send(client, delivery(runs=runs), page["runs_url"]).json()
    (row,) = [row for row in found["rows"] if row["name"] == f"{project.name}, original"]
    assert row["measured_ms"] == 0.2
    assert row["after_ms"] > 0


def test_candidates_of_the_study_are_offered_and_predicted(client, project):
    job = project.study.job
    keep_candidates(job)
    page = client.get(f"/devices/measure/{project.id}/").context["page"]
    original, *candidates = page["networks"]
    assert original["title"] == "Original"
    assert [row["name"] for row in candidates] == [
        f"candidate:{job.id}:{i}" for i in range(KEPT)
    ]
    assert re.fullmatch(
        r"Candidate 0: 1\.2 times as fast as the original where it was built, [−+]\d\.\d points",
        candidates[0]["title"],
    )
    assert b"".join(drain(client.get(candidates[0]["url"]))) == making.onnx_bytes("small")
    runs = [*delivery()["runs"], {"name": candidates[0]["name"], "runs_ms": [0.2, 0.21, 0.2]}]
    found = send(client, delivery(runs=runs), page["runs_url"]).json()
    (row,) = [row for row in found["rows"] if row["name"] == f"{project.name}, candidate 0"]
    assert row["measured_ms"] == 0.2


def test_candidate_without_its_own_file_is_not_offered(client, project, tmp_path):
    keep_candidates(project.study.job)
    folder, secret = project.study.job.folder / "VALIDATE", tmp_path / "secret"
    secret.write_bytes(b"of somebody else")
    (folder / "candidate-0.onnx").unlink()
    (folder / "candidate-1.onnx").unlink()
    (folder / "candidate-1.onnx").symlink_to(secret)
    url = f"/devices/measure/{project.id}/"
    names = [row["name"] for row in client.get(url).context["page"]["networks"]]
    assert [name.rpartition(":")[2] for name in names[1:]] == ["2"]
    name = f"candidate:{project.study.job.id}:1"
    assert client.get(f"{url}networks/{name}").status_code == 404


def test_answer_tells_of_this_delivery_alone(client, project):
    page = client.get(f"/devices/measure/{project.id}/").context["page"]
    whole = delivery()["runs"]
    network = {"name": page["networks"][0]["name"], "runs_ms": [0.2, 0.21, 0.2]}
    send(client, delivery(runs=[*whole, network]), page["runs_url"])
    found = send(client, delivery(runs=whole[:2])).json()
    assert [row["name"] for row in found["rows"]] == [run["name"] for run in whole[:2]]
    errors = [abs(row["after_ms"] / row["measured_ms"] - 1) for row in found["rows"]]
    assert found["error_after"] == pytest.approx(np.median(errors))


def test_delivery_of_which_nothing_counts_leaves_a_measured_browser_as_it_was(client):
    send(client, delivery())
    answer = send(client, delivery(runs=[{"name": "mobile", "runs_ms": [-1]}]))
    assert answer.status_code == 400
    assert "None of these timings can be used" in answer.json()["error"]["message"]
    assert Measurement.objects.count() == len(kit_graphs())


def test_project_that_is_not_studied_yet_has_no_networks_to_time(client, user):
    page = client.get(f"/devices/measure/{making.project(user).id}/").context["page"]
    assert page["networks"] == []


def test_stranger_gets_404(client, stranger, study_folder):
    theirs = making.studied(stranger, study_folder)
    url = f"/devices/measure/{theirs.id}/"
    name = f"model:{theirs.study.job.id}"
    assert client.get(url).status_code == 404
    assert client.get(f"{url}networks/{name}").status_code == 404
    assert send(client, delivery(), f"/api{url}runs").status_code == 404
