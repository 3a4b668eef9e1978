import json
import re

import pytest

from tests.webapp import making
from tests.webapp.test_own_devices import create, measured
from webapp.devices.kit import kit_graphs
from webapp.devices.models import OwnDevice
from webapp.devices.services import Run, own_device_share, runs_record

pytestmark = pytest.mark.django_db(transaction=True)

NEW = {"title": "My board", "prior": "rpi4", "runtime": "onnxruntime", "threads": 2}
HTML = '<script>alert("1")</script>'


def post(client, path, value=None):
    return client.post(f"/api/own-devices{path}", value or {}, content_type="application/json")


def page_data(page):
    return json.loads(re.search(r'<script id="page-data"[^>]*>(.*?)</script>', page)[1])


def test_device_is_made_renamed_shared_and_deleted(client, user):
    made = post(client, "", NEW)
    assert made.status_code == 201
    row = made.json()
    assert (row["title"], row["measured"], row["label"]) == ("My board", None, None)
    path = f"/{row['id']}"
    assert post(client, f"{path}/settings", {"title": "Board 2"}).json()["title"] == "Board 2"
    assert post(client, f"{path}/settings", {"shared": True}).json()["shared"] is True
    assert client.delete(f"/api/own-devices{path}").status_code == 204
    assert not OwnDevice.objects.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"title": None}, "The title must have 1 to 100"),
        ({"title": ["x"]}, "The title must have"),
        ({"prior": {}}, "no device of the catalogue"),
        ({"threads": "2"}, "Threads must be 1 to 256"),
        ({"threads": True}, "Threads must be"),
        ({"arithmetic": []}, "no arithmetic"),
        ({"means": 7}, "no means"),
    ],
)
def test_nonsense_makes_no_device(client, user, change, sentence):
    answer = post(client, "", NEW | change)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]["message"]


def test_strangers_devices_are_not_found(client, user, stranger):
    theirs = measured(stranger)
    theirs.shared = True
    theirs.save()
    for end in ("/settings", "/times"):
        assert post(client, f"/{theirs.id}{end}", {"title": "mine"}).status_code == 404
    assert client.delete(f"/api/own-devices/{theirs.id}").status_code == 404


def test_catalogue_lists_own_devices_first_with_band_and_date(client, user, stranger):
    mine, waiting = measured(user), create(user, title="Waiting")
    shared, private = measured(stranger, title="Shared"), measured(stranger, title="Private")
    OwnDevice.objects.filter(pk=shared.pk).update(shared=True)
    page = client.get("/devices/").content.decode()
    data = page_data(page)
    rows = {row["title"]: row for row in data["own"]}
    assert list(rows) == ["My board", "Waiting", "Shared"]
    assert rows["My board"]["label"] == "calibrated"
    assert rows["My board"]["band"][0] < 1 < rows["My board"]["band"][1]
    assert rows["My board"]["measured"]
    assert (rows["Waiting"]["label"], rows["Shared"]["mine"]) == (None, False)
    assert mine.key not in [target["name"] for target in data["targets"]]
    assert str(waiting.id) in page
    assert str(private.id) not in page


def test_page_of_a_device_shows_chart_runs_and_sources(client, user):
    device = measured(user)
    runs_record(device=device, runs=[Run("sums", [-3])], environment={})
    page = client.get(f"/devices/{device.key}/").content.decode()
    data = page_data(page)
    before, after = data["evidence"]["data"]
    assert len(before["x"]) == len(after["x"]) == len(before["text"])
    assert after["error_y"]["array"][0] > 0
    assert (
        "Half of the predictions were off by at most"
        in data["evidence"]["layout"]["meta"]["summary"]
    )
    assert "Measured by you on" in page
    assert "Measured by its owner" not in page
    assert "Taken over from Raspberry Pi 4B" in page
    assert "set aside: sums: -3 ms is no time" in page


def test_shared_device_does_not_tell_what_its_owners_projects_are_called(
    client, user, stranger, study_folder
):
    project = making.studied(stranger, study_folder)
    device = measured(stranger)
    original = Run(f"model:{project.study.job.id}", [2.0, 2.1])
    runs_record(device=device, runs=[original], environment={})
    own_device_share(device=device, shared=True)
    page = client.get(f"/devices/{device.key}/").content.decode()
    assert "A network of its owner" in page_data(page)["evidence"]["data"][0]["text"]
    assert "sums" in page
    assert f"{project.name}, original" not in page
    device.owner = user
    device.save()
    page = client.get(f"/devices/{device.key}/").content.decode()
    assert f"{project.name}, original" in page_data(page)["evidence"]["data"][0]["text"]


def test_page_of_an_unmeasured_device_says_what_to_do(client, user):
    page = client.get(f"/devices/{create(user).key}/").content.decode()
    assert "cannot be a target" in page
    assert "Download a kit" in page


@pytest.mark.parametrize("means", ["browser", "agent"])
def test_device_measured_by_other_means_takes_no_times_of_the_kit(client, user, means):
    device = measured(user, means=means)
    page = client.get(f"/devices/{device.key}/").content.decode()
    assert "Download a kit" not in page
    assert ('href="/devices/measure/"' in page) == (means == "browser")
    answer = post(client, f"/{device.id}/times", {"text": "sums,1.5"})
    assert answer.status_code == 409
    assert f"My board is measured by {means}" in answer.json()["error"]["message"]
    assert device.measurements.count() == len(kit_graphs())


def test_names_with_html_stay_text_everywhere(client, user):
    device = measured(user, title=HTML, runtime=HTML)
    runs_record(device=device, runs=[Run(HTML, [1.0])], environment={"x": HTML})
    for path in ("/devices/", f"/devices/{device.key}/", "/api/devices"):
        answer = client.get(path)
        assert answer.status_code == 200
        if not path.startswith("/api"):
            assert HTML not in answer.content.decode(), path
