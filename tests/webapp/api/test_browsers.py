import pytest

from tests.webapp import making
from tests.webapp.api.conftest import Program
from tests.webapp.test_measure_browser import delivery
from tests.webapp.test_pairing import HOST, PAGE, accounts_mode, owner, phone
from webapp.accounts.tokens import token_create
from webapp.devices.models import OwnDevice

__all__ = ["accounts_mode", "owner", "phone"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def networked(owner):
    """A program of the owner of a server that others reach."""
    program = Program(token_create(owner=owner, name="test"))
    program.client.defaults["HTTP_HOST"] = "localhost:8000"
    return program


def link(program, path):
    answer = program.post(path)
    assert answer.status_code == 201, answer.content
    (found,) = answer.json()["links"]
    assert found["address"] == f"http://{HOST}"
    assert found["qr"].startswith("<svg")
    return found["url"].removeprefix(found["address"])


def test_browser_is_measured_and_chosen(program):
    found = program.post("browser-measurements", delivery())
    assert found.status_code == 201, found.content
    device = found.json()["device"]
    assert found.json()["error_after"] < found.json()["error_before"]
    assert program.get(f"devices/{device['name']}").json()["label"] == "calibrated"
    program.post("browser-measurements", delivery())
    assert OwnDevice.objects.get().title == "Chrome 156 on Android"


def test_browser_times_networks_of_the_project_and_no_others(program, user, study_folder):
    mine, other = making.studied(user, study_folder), making.project(user, seed=1)
    (network,) = program.get(f"projects/{mine.id}/networks").json()["networks"]
    assert (network["title"], network["size_bytes"]) == ("Original", mine.model.size_bytes)
    file = program.get(f"projects/{mine.id}/networks/{network['name']}")
    assert b"".join(file) == making.onnx_bytes()
    assert program.get(f"projects/{other.id}/networks/{network['name']}").status_code == 404
    runs = delivery()["runs"] + [{"name": network["name"], "runs_ms": [1.0, 1.1, 1.2]}]
    for path, status in (
        (f"projects/{mine.id}/browser-measurements", 201),
        (f"projects/{other.id}/browser-measurements", 400),
        ("browser-measurements", 400),
    ):
        answer = program.post(path, delivery(runs=runs))
        assert answer.status_code == status, (path, answer.content)


def test_phone_measures_itself_by_a_link_of_the_api(networked, phone, owner):
    answer = phone.post(link(networked, "pairings"))
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    assert phone.get(PAGE).status_code == 200
    assert phone.get("/api/v1/projects").status_code == 401


def test_link_of_a_project_leads_to_its_networks(networked, phone, owner, study_folder):
    project = making.studied(owner, study_folder)
    answer = phone.post(link(networked, f"projects/{project.id}/pairings"))
    assert answer["Location"] == f"/devices/measure/{project.id}/"


def test_server_for_this_machine_alone_says_how_to_reach_it(program):
    answer = program.post("pairings")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "this_machine_only")
    assert "manage.py up --host 0.0.0.0" in answer.json()["error"]["message"]
