"""The model by itself: layers, what fits them, and its cost on every device, before any job is through."""

import json

import pytest

from compression.device_profiles import device_names
from tests.webapp import making
from webapp.jobs.models import Job, JobState

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project(user, study_folder):
    """A project whose study is done."""
    return making.studied(user, study_folder)


def shown(client, project, target=None):
    """The data of the page at its own address."""
    answer = client.get(f"/projects/{project.id}/model/", {"target": target} if target else {})
    assert answer.status_code == 200
    text = answer.content.decode()
    start = text.index('id="page-data"')
    return json.loads(text[text.index(">", start) + 1 : text.index("</script>", start)])


def on(found, name):
    return next(device for device in found["devices"] if device["name"] == name)


def test_before_the_model_is_read_the_page_says_so(client, user):
    found = shown(client, making.project(user))
    assert found["model"] is None
    assert found["study"]["state"] == "queued"


def test_inspected_model_is_told_before_anything_was_probed(client, project):
    folder = project.study.job.folder
    for path in ("PROBE/tables.npz", "VALIDATE/tables.npz", "SEARCH/policy.npz"):
        (folder / path).unlink()
    Job.objects.filter(pk=project.study.job.pk).update(state=JobState.RUNNING, stage="PROBE")
    found = shown(client, project)
    assert found["model"]["macs"] == 416520
    assert found["layers"][2]["text"] == "conv 5x5 · 6 → 16"
    assert found["layers"][2]["applicable"] == {"svd": True, "fire": "needs a 3x3 kernel"}
    assert {layer["ms"] for layer in found["layers"]} == {None}  # not timed here yet
    assert all(layer["ms"] is not None for layer in shown(client, project, "rpi4")["layers"])


def test_every_device_is_told_with_label_and_band(client, project):
    found = shown(client, project)
    assert {device["name"] for device in found["devices"]} == set(device_names())
    for device in found["devices"]:
        assert device["label"]
        assert device["energy_label"]
        assert device["latency_ms"] > 0
        assert device["energy_mj"] > 0
        assert device["energy_band"][0] < 1 < device["energy_band"][1]
        if device["name"] != "this-host":
            assert device["band"][0] < 1 < device["band"][1]


def test_this_computer_is_measured_and_no_other(client, project):
    found = shown(client, project)
    here = on(found, "this-host")
    assert here["latency_ms"] == 0.051
    assert here["measured"] == {"p10": 0.05, "p90": 0.06, "runs": 30}
    others = [device for device in found["devices"] if device["name"] != "this-host"]
    assert {device["measured"] for device in others} == {None}


def test_layers_add_up_to_what_the_device_is_said_to_take(client, project):
    found = shown(client, project, "rpi4")
    total = sum(layer["ms"] for layer in found["layers"])
    assert total == pytest.approx(on(found, "rpi4")["latency_ms"])
    assert found["target"]["name"] == "rpi4"


def test_layers_on_this_computer_are_those_of_the_study(client, project):
    found = shown(client, project, "this-host")
    known = client.get(f"/api/projects/{project.id}/studio?target=this-host").json()
    assert [layer["ms"] for layer in found["layers"]] == [row["ms"] for row in known["layers"]]


def test_model_too_large_for_a_device_is_said_so(client, project):
    path = project.study.job.folder / "INSPECT" / "inspect.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "size_bytes": 40_000_000}))
    found = shown(client, project)
    assert "flash" in on(found, "stm32-l4r5")["misfit"]
    assert on(found, "rpi4")["misfit"] == ""


def test_page_is_found_from_the_list_and_the_studio(client, project):
    row = client.get("/api/projects").json()["projects"][0]
    assert row["model_url"] == f"/projects/{project.id}/model/"
    assert row["model_url"] in client.get(row["url"]).content.decode()
    assert row["url"] in client.get(row["model_url"]).content.decode()


def test_unknown_target_and_strangers_get_404(client, project, django_user_model):
    address = f"/projects/{project.id}/model/"
    assert client.get(address, {"target": "no-such-device"}).status_code == 404
    project.owner = django_user_model.objects.create_user("other")
    project.save()
    assert client.get(address).status_code == 404


def test_programs_get_the_same(client, project):
    found = client.get(f"/api/v1/projects/{project.id}/model", {"target": "rpi4"}).json()
    page = shown(client, project, "rpi4")
    assert found["layers"] == page["layers"]
    assert found["devices"] == page["devices"]


def test_study_of_another_version_still_tells_the_model(client, project):
    (project.study.job.folder / "VALIDATE" / "tables.npz").write_bytes(b"of another version")
    found = shown(client, project)
    assert len(found["devices"]) == len(device_names())
