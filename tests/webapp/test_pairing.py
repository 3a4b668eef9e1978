import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.webapp import making
from tests.webapp.agents.test_finalists import KEPT, keep_candidates
from tests.webapp.test_measure_browser import delivery
from webapp.accounts.hashing import new_secret
from webapp.devices.models import OwnDevice, Pairing
from webapp.settings import middleware

pytestmark = pytest.mark.django_db(transaction=True)

PAGE, PAIR, RUNS = "/devices/measure/", "/api/devices/measure/pair", "/api/devices/measure/runs"
HOST = "192.168.1.20:8000"


@pytest.fixture
def accounts_mode(settings):
    """Served to the network, as ``up --host 0.0.0.0`` does it."""
    settings.AUTH_MODE = "accounts"
    settings.MIDDLEWARE = middleware("accounts")
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "ada.local", "::1", "192.168.1.20"]


@pytest.fixture
def owner(accounts_mode, transactional_db):
    return User.objects.create_user("ada")


@pytest.fixture
def desk(owner):
    """The owner's browser, signed in."""
    browser = Client(headers={"host": "localhost:8000"})
    browser.force_login(owner)
    return browser


@pytest.fixture
def phone(accounts_mode):
    return Client(headers={"host": HOST})


def link(desk, url=PAIR):
    """The path of a new link."""
    (found,) = desk.post(url).json()["links"]
    assert found["url"].startswith(f"http://{HOST}/m/")
    assert "<svg" in found["qr"]
    return found["url"].removeprefix(f"http://{HOST}")


def send(browser, url=RUNS):
    return browser.post(url, json.dumps(delivery()), content_type="application/json")


def test_paired_phone_measures_itself_for_the_owner(desk, phone, owner):
    path = link(desk)
    assert "Go on" in phone.get(path).content.decode()
    answer = phone.post(path)
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    cookie = answer.cookies["adadeep_paired"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
    page = phone.get(PAGE)
    assert page.status_code == 200
    assert phone.get(page.context["page"]["graphs"][0]["url"]).status_code == 200
    assert send(phone).status_code == 201
    assert OwnDevice.objects.get().owner == owner
    assert "Chrome 156 on Android" in desk.get("/api/devices").content.decode()


def test_paired_phone_sees_nothing_else(desk, phone, owner, study_folder):
    project = making.studied(owner, study_folder)
    phone.post(link(desk))
    closed = [
        *("/", "/devices/", "/api/devices", "/api/projects", f"/projects/{project.id}/"),
        *(f"/devices/measure/{project.id}/", f"/api/projects/{project.id}/studio"),
        *("/api/v1/projects", "/devices/rpi4/"),
    ]
    for path in closed:
        assert phone.get(path).status_code in (302, 401, 403), path
    assert phone.post(PAIR).status_code == 401
    assert send(phone, f"/api/devices/measure/{project.id}/runs").status_code == 401
    page = phone.get(PAGE).content.decode()
    assert "ada" not in re.sub(r"AdaDeep|adadeep", "", page)
    assert "Projects" not in page


def test_phone_paired_from_a_project_sees_its_networks_and_no_others(
    desk, phone, owner, study_folder
):
    mine = making.studied(owner, study_folder)
    keep_candidates(mine.study.job)
    other = making.project(owner, seed=1)
    phone.post(link(desk, f"/api/devices/measure/{mine.id}/pair"))
    page = phone.get(f"/devices/measure/{mine.id}/").context["page"]
    assert len(page["networks"]) == 1 + KEPT
    for network in page["networks"]:
        assert phone.get(network["url"]).status_code == 200
    assert send(phone, page["runs_url"]).status_code == 201
    assert phone.get(f"/devices/measure/{other.id}/").status_code == 302
    assert phone.get(PAGE).status_code == 302


def test_link_is_good_once(desk, phone):
    path = link(desk)
    phone.post(path)
    for again in (Client(headers={"host": HOST}).post(path), phone.get(path)):
        assert again.status_code == 403
        assert "has been used; it is good once" in again.content.decode()


def test_link_ends_after_ten_minutes(desk, phone):
    path = link(desk)
    Pairing.objects.update(created=timezone.now() - timedelta(minutes=11))
    answer = phone.post(path)
    assert answer.status_code == 403
    assert "older than ten minutes" in answer.content.decode()
    assert phone.get(PAGE).status_code == 302


def test_link_of_another_server_is_refused(phone):
    answer = phone.post("/m/AAAAAAAAAAAAAAAAAAAAAA")
    assert answer.status_code == 403
    assert "was not made here" in answer.content.decode()


def test_looking_at_a_link_does_not_end_it(desk, phone):
    path = link(desk)
    for _ in range(3):
        assert phone.get(path).status_code == 200
    assert phone.post(path).status_code == 302


def test_pairing_ends_after_an_hour_and_with_the_owners_account(desk, phone, owner):
    phone.post(link(desk))
    User.objects.update(is_active=False)
    assert phone.get(PAGE).status_code == 302
    User.objects.update(is_active=True)
    assert phone.get(PAGE).status_code == 200
    Pairing.objects.update(paired=timezone.now() - timedelta(minutes=61))
    assert phone.get(PAGE).status_code == 302


def test_secrets_are_not_stored(desk, phone):
    path = link(desk)
    assert len(path.rsplit("/", 1)[1]) == len(new_secret())
    cookie = phone.post(path).cookies["adadeep_paired"].value
    (row,) = Pairing.objects.values()
    assert cookie not in str(row)
    assert path.rsplit("/", 1)[1] not in str(row)


def test_invented_cookie_opens_nothing(desk, phone):
    phone.cookies["adadeep_paired"] = ""
    assert phone.get(PAGE).status_code == 302
    phone.cookies["adadeep_paired"] = "x" * 43
    assert phone.get(PAGE).status_code == 302


def test_whoever_is_not_signed_in_makes_no_links(phone):
    assert phone.post(PAIR).status_code == 401


def test_address_that_the_owner_uses_is_given_to_the_phone(desk):
    browser = Client(headers={"host": "192.168.1.20"})
    browser.cookies = desk.cookies
    (found,) = browser.post(PAIR).json()["links"]
    assert found["address"] == "http://192.168.1.20"


def test_server_for_this_machine_says_how_to_reach_it_from_a_phone(client):
    page = client.get(PAGE).context["page"]
    assert not page["phone"]["reachable"]
    answer = client.post(PAIR)
    assert answer.status_code == 409
    assert "manage.py up --host 0.0.0.0" in answer.json()["error"]["message"]
    assert not Pairing.objects.exists()
