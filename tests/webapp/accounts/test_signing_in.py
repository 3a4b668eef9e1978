import json
from datetime import timedelta
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.utils import timezone

from tests.webapp import making
from tests.webapp.accounts.conftest import PASSWORD
from tests.webapp.fetching import fetched
from tests.webapp.sockets import OURS, Watcher
from tests.webapp.test_uploads import ask
from webapp.accounts.audit import network_of
from webapp.accounts.models import AuditEvent, EventKind
from webapp.accounts.tokens import token_create

pytestmark = pytest.mark.django_db


def sign_in(browser, username, password=PASSWORD, **options):
    return browser.post("/login/", {"username": username, "password": password}, **options)


def text(answer):
    return answer.content.decode()


def test_page_asks_to_sign_in_and_comes_back_afterwards(visitor, member):
    answer = visitor.get("/devices/")
    assert (answer.status_code, answer["Location"]) == (302, "/login/?next=/devices/")
    form = {"username": "ada", "password": PASSWORD, "next": "/devices/"}
    answer = visitor.post("/login/", form)
    assert (answer.status_code, answer["Location"]) == (302, "/devices/")
    assert "Devices" in text(visitor.get("/devices/"))


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:x"])
def test_signing_in_never_leads_to_another_site(visitor, member, target):
    form = {"username": "ada", "password": PASSWORD, "next": target}
    assert visitor.post("/login/", form)["Location"] == "/"


def test_program_without_session_or_token_is_told_so(visitor):
    for path in ("/api/projects", "/api/v1/projects"):
        answer = visitor.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "signed_out"), path


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD)])
def test_wrong_name_and_wrong_password_look_the_same(visitor, member, name, password):
    answer = sign_in(visitor, name, password)
    assert answer.status_code == 403
    assert "Name and password do not fit." in text(answer)


def test_guessing_is_stopped_even_with_the_right_password(visitor, member):
    for _ in range(5):
        sign_in(visitor, "ada", "wrong")
    assert "Too many attempts." in text(sign_in(visitor, "ada"))
    other_place = sign_in(Client(headers={"host": "localhost"}), "ada", REMOTE_ADDR="10.0.0.9")
    assert other_place.status_code == 302


def test_stranger_who_goes_on_guessing_locks_nobody_else_out(visitor, member):
    for _ in range(101):
        sign_in(visitor, "ada", "wrong")
    assert AuditEvent.objects.count() == 5
    elsewhere = Client(headers={"host": "localhost"})
    assert sign_in(elsewhere, "ada", REMOTE_ADDR="10.0.0.9").status_code == 302


def test_guessing_many_names_from_one_address_is_stopped(visitor, member):
    for number in range(30):
        sign_in(visitor, f"name{number}", "wrong")
    assert "Too many attempts." in text(sign_in(visitor, "ada"))


def test_addresses_of_one_ipv6_network_count_as_one(member):
    def guess(address, password="wrong"):
        browser = Client(headers={"host": "localhost"})
        return sign_in(browser, "ada", password, REMOTE_ADDR=address)

    for number in range(5):
        guess(f"2001:db8:1:2:{number:x}::1")
    assert "Too many attempts." in text(guess("2001:db8:1:2:ffff::9", PASSWORD))
    assert guess("2001:db8:1:3::1", PASSWORD).status_code == 302
    event = AuditEvent.objects.filter(kind=EventKind.LOGIN_FAILED).earliest("t")
    assert event.address == "2001:db8:1:2:0::1"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_sender_of_an_address(address, network):
    assert network_of(address) == network


def test_guessing_ends_after_a_quarter_of_an_hour(visitor, member):
    for _ in range(6):
        sign_in(visitor, "ada", "wrong")
    AuditEvent.objects.update(t=timezone.now() - timedelta(minutes=16))
    assert sign_in(visitor, "ada").status_code == 302


def test_sign_in_needs_the_csrf_token(member):
    browser = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    assert sign_in(browser, "ada").status_code == 403


def test_session_cookie_is_out_of_reach_for_scripts_and_other_sites(visitor, member):
    sign_in(visitor, "ada")
    cookie = visitor.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_signing_out_ends_the_session(browser_of, member):
    browser = browser_of(member)
    assert browser.get("/logout/").status_code == 405
    assert browser.post("/logout/").status_code == 302
    assert browser.get("/").status_code == 302


def test_new_password_ends_other_sessions_and_keeps_this_one(browser_of, member):
    here, elsewhere = browser_of(member), browser_of(member)
    form = {
        "old_password": PASSWORD,
        "new_password1": "a red kite",
        "new_password2": "a red kite",
    }
    assert here.post("/account/password/", form).status_code == 302
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302


def test_common_password_is_refused_with_the_reason(browser_of, member):
    form = {
        "old_password": PASSWORD,
        "new_password1": "password123",
        "new_password2": "password123",
    }
    assert "too common" in text(browser_of(member).post("/account/password/", form))


def test_what_happened_is_kept(visitor, member, admin, browser_of):
    sign_in(visitor, "ada", "wrong")
    sign_in(visitor, "ada")
    visitor.post("/account/tokens/", {"name": "ci"})
    kinds = list(AuditEvent.objects.order_by("t").values_list("account", "kind", "address"))
    assert kinds == [
        ("ada", EventKind.LOGIN_FAILED, "127.0.0.1"),
        ("ada", EventKind.LOGIN, "127.0.0.1"),
        ("ada", EventKind.TOKEN_CREATED, "127.0.0.1"),
    ]
    assert "login failed" in text(browser_of(admin).get("/audit/"))


def test_page_for_signing_in_is_alone_with_static_files_and_health(visitor):
    assert visitor.get("/login/").status_code == 200
    assert fetched("/static/css/base.css").status_code == 200
    assert "database" in visitor.get("/healthz").json()


@pytest.mark.django_db(transaction=True)
async def test_socket_without_a_session_is_refused(member):
    job = await sync_to_async(making.study)(member)
    assert not await Watcher(f"/ws/jobs/{job.id}/").connect()


@pytest.mark.django_db(transaction=True)
async def test_socket_with_a_session_is_taken_from_any_address(member, browser_of):
    job = await sync_to_async(making.study)(member)
    browser = await sync_to_async(browser_of)(member)
    cookie = f"sessionid={browser.cookies['sessionid'].value}".encode()
    watcher = Watcher(f"/ws/jobs/{job.id}/", [*OURS, (b"cookie", cookie)], peer="192.168.1.7")
    assert await watcher.connect()
    assert (await watcher.next())["job"]["id"] == str(job.id)
    await watcher.leave()


@pytest.mark.django_db(transaction=True)
async def test_socket_of_another_site_is_refused_with_a_session_too(member, browser_of):
    job = await sync_to_async(making.study)(member)
    browser = await sync_to_async(browser_of)(member)
    cookie = f"sessionid={browser.cookies['sessionid'].value}".encode()
    headers = [
        (b"host", b"localhost:8000"),
        (b"origin", b"http://evil.example"),
        (b"cookie", cookie),
    ]
    assert not await Watcher(f"/ws/jobs/{job.id}/", headers).connect()


UPLOAD = {"host": "localhost", "content-length": "40"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v1/uploads/model"), ("PATCH", f"/api/v1/transfers/{UUID(int=7)}")],
)
@pytest.mark.parametrize(
    "said", [{}, {"cookie": "sessionid=invented"}, {"authorization": "Bearer adadeep_invented"}]
)
async def test_nothing_is_read_of_an_upload_before_its_sender_is_known(method, path, said):
    status, content, read = await ask(method, path, UPLOAD | said, [bytes(40)])
    assert (status, read) == (401, 0)
    assert json.loads(content)["error"]["code"] == "signed_out"


@pytest.mark.django_db(transaction=True)
async def test_upload_is_read_for_a_session_and_for_a_token(member, browser_of):
    browser = await sync_to_async(browser_of)(member)
    token = await sync_to_async(token_create)(owner=member, name="ci")
    for said in (
        {"cookie": f"sessionid={browser.cookies['sessionid'].value}"},
        {"authorization": f"Bearer {token}"},
    ):
        _, _, read = await ask("POST", "/api/v1/uploads/model", UPLOAD | said, [bytes(40)])
        assert read > 0
