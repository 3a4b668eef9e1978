import pytest
from django.test import Client

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = ["/", "/devices/"]


@pytest.mark.parametrize("path", PAGES)
def test_page_may_run_our_scripts_only(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script>" not in answer.content.decode()


def test_other_machines_are_refused(client):
    answer = client.get("/", REMOTE_ADDR="192.168.1.7")
    assert answer.status_code == 403
    assert "this machine only" in answer.content.decode()


@pytest.mark.parametrize(
    "header",
    [
        {"x-forwarded-for": "192.168.1.7"},
        {"x-forwarded-host": "ada.example"},
        {"x-forwarded-proto": "https"},
        {"x-real-ip": "192.168.1.7"},
        {"forwarded": "for=192.168.1.7"},
        {"via": "1.1 proxy"},
    ],
)
def test_proxy_on_this_machine_lets_nobody_in(client, header):
    answer = client.get("/", headers=header)
    assert answer.status_code == 403
    assert "Set AUTH_MODE=accounts" in answer.content.decode()


@pytest.mark.parametrize("path", ["/login/", "/users/", "/audit/", "/signup/", "/setup/x/"])
def test_there_is_nobody_to_sign_in(client, path):
    assert client.get(path).status_code == 404


def test_tokens_are_made_and_ended_on_the_account_page(client):
    page = client.post("/account/tokens/", {"name": "ci"})
    assert page.context["new_token"] in page.content.decode()
    client.post(f"/account/tokens/{page.context['tokens'][0].pk}/end/")
    assert "No tokens." in client.get("/account/").content.decode()


def test_status_page_says_what_holds_the_engine_and_what_does_not(client, monkeypatch):
    found = {"files": "the kernel has no Landlock", "calls": ""}
    monkeypatch.setattr("webapp.jobs.sandbox.tried", lambda: found)
    page = client.get("/status/").content.decode()
    assert "the engine opens no socket" in page
    assert "Not so that the engine reads its own program" in page
    assert "the kernel has no Landlock" in page
    assert "at most 12 GiB of address space" in page
    assert client.get("/api/status").json()["sandbox"]["secrets"] is True


def test_other_host_names_are_refused():
    """A site that points its own name at 127.0.0.1 must not read our pages."""
    assert Client(headers={"host": "evil.example"}).get("/").status_code == 400


def test_requests_of_other_sites_are_refused(client):
    answer = client.post(
        "/api/samples/digits/open", headers={"origin": "http://localhost:3000"}
    )
    assert answer.status_code == 403


def test_change_without_token_is_refused():
    client = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    answer = client.post("/api/samples/digits/open")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "csrf"


def test_change_with_the_pages_token_is_taken(client):
    page = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    page.get("/")
    token = page.cookies["csrftoken"].value
    answer = page.post("/api/samples/digits/open", headers={"x-csrftoken": token})
    assert answer.status_code == 201


def test_unknown_address_is_a_page_for_people_and_json_for_programs(client):
    assert "There is nothing at this address." in client.get("/nowhere").content.decode()
    assert client.get("/api/nowhere").json()["error"]["code"] == "not_found"


def test_body_that_is_no_json_is_refused(client):
    answer = client.post("/api/projects", "{", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
