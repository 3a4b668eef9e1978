import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.webapp import making
from tests.webapp.accounts.conftest import PASSWORD
from tests.webapp.api.conftest import Program
from webapp.accounts.invitations import invitation_create, setup_create
from webapp.accounts.models import Invitation, local_user
from webapp.accounts.tokens import token_create
from webapp.accounts.upkeep import accounts_sweep

pytestmark = pytest.mark.django_db


def join(browser, path, name, password=PASSWORD):
    form = {"username": name, "password1": password, "password2": password}
    return browser.post(path, form)


def test_setup_link_makes_one_administrator_and_then_ends(visitor):
    secret = setup_create()
    assert "first administrator" in visitor.get(f"/setup/{secret}/").content.decode()
    assert join(visitor, f"/setup/{secret}/", "root").status_code == 302
    assert visitor.get("/users/").status_code == 200
    other = Client(headers={"host": "localhost"})
    answer = join(other, f"/setup/{secret}/", "second")
    assert answer.status_code == 404
    assert "used already" in answer.content.decode()
    assert setup_create() is None


def test_setup_link_of_an_earlier_start_ends(visitor):
    former, newer = setup_create(), setup_create()
    assert visitor.get(f"/setup/{former}/").status_code == 404
    assert visitor.get(f"/setup/{newer}/").status_code == 200


def test_first_administrator_takes_over_what_was_made_without_accounts(visitor, settings):
    found = making.project(local_user())
    join(visitor, f"/setup/{setup_create()}/", "root")
    assert [row["id"] for row in visitor.get("/api/projects").json()["projects"]] == [
        str(found.id)
    ]
    settings.AUTH_MODE = "local"
    assert local_user().username == "root"


def test_only_the_hash_of_a_link_is_kept():
    secret = setup_create()
    assert secret not in str(list(Invitation.objects.values()))


def test_invited_person_becomes_a_member(visitor, browser_of, admin):
    page = browser_of(admin).post("/users/invite/")
    link = f"/join/{page.context['link'].rsplit('/', 2)[1]}/"
    assert join(visitor, link, "ada").status_code == 302
    ada = User.objects.get(username="ada")
    assert (ada.is_staff, ada.check_password(PASSWORD)) == (False, True)
    assert visitor.get("/users/").status_code == 404
    assert join(Client(headers={"host": "localhost"}), link, "bob").status_code == 404


def test_administrator_can_invite_another_one(visitor, browser_of, admin):
    page = browser_of(admin).post("/users/invite/", {"admin": "on"})
    join(visitor, f"/join/{page.context['link'].rsplit('/', 2)[1]}/", "grace")
    assert User.objects.get(username="grace").is_staff


def test_invitation_runs_out(visitor, admin):
    secret = invitation_create(invited_by=admin)
    Invitation.objects.update(expires=timezone.now())
    assert visitor.get(f"/join/{secret}/").status_code == 404
    accounts_sweep()
    assert not Invitation.objects.exists()


def test_invitation_of_a_closed_account_does_not_count(visitor, admin):
    secret = invitation_create(invited_by=admin)
    User.objects.update(is_active=False)
    assert visitor.get(f"/join/{secret}/").status_code == 404


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [
        ("ada", "short", "too short"),
        ("ada.lovelace", "ada.lovelace9", "too similar"),
        ("Root", PASSWORD, "This name is taken"),
        ("local", PASSWORD, "This name is reserved"),
        ("a b", PASSWORD, "Enter a valid username"),
    ],
)
def test_account_that_cannot_be_made_says_why(visitor, admin, name, password, words):
    secret = invitation_create(invited_by=admin)
    answer = join(visitor, f"/join/{secret}/", name, password)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert Invitation.objects.count() == 1


def test_sign_up_is_closed_until_it_is_opened(visitor, settings, admin):
    answer = join(visitor, "/signup/", "ada")
    assert answer.status_code == 404
    assert "Ask an administrator" in answer.content.decode()
    settings.SIGNUP_OPEN = True
    assert join(visitor, "/signup/", "ada").status_code == 302
    assert not User.objects.get(username="ada").is_staff


def test_open_sign_up_makes_no_administrator_even_as_the_first(visitor, settings):
    settings.SIGNUP_OPEN = True
    join(visitor, "/signup/", "early")
    assert not User.objects.get(username="early").is_staff
    assert setup_create()


def test_closed_account_is_out_at_once_and_can_be_opened_again(browser_of, admin, member):
    root, ada = browser_of(admin), browser_of(member)
    program = Program(token_create(owner=member, name="ci"))
    root.post(f"/users/{member.pk}/close/")
    assert ada.get("/").status_code == 302
    assert program.get("projects").status_code == 401
    root.post(f"/users/{member.pk}/open/")
    assert program.get("projects").status_code == 200


def test_last_administrator_cannot_be_closed(browser_of, admin):
    answer = browser_of(admin).post(f"/users/{admin.pk}/close/")
    assert (answer.status_code, "last administrator" in answer.content.decode()) == (409, True)
    assert User.objects.get(pk=admin.pk).is_active


@pytest.mark.parametrize("path", ["/users/", "/audit/"])
def test_members_do_not_learn_that_pages_of_administrators_exist(browser_of, member, path):
    assert browser_of(member).get(path).status_code == 404


def test_token_is_shown_once_works_and_is_ended(browser_of, member):
    browser = browser_of(member)
    page = browser.post("/account/tokens/", {"name": "ci"})
    token = page.context["new_token"]
    assert token in page.content.decode()
    assert token not in browser.get("/account/").content.decode()
    assert Program(token).get("projects").status_code == 200
    key = page.context["tokens"][0].pk
    assert browser.post(f"/account/tokens/{key}/end/").status_code == 302
    assert Program(token).get("projects").status_code == 401


def test_token_changes_things_and_a_session_needs_csrf_for_it(browser_of, member):
    program = Program(token_create(owner=member, name="ci"))
    assert program.post("samples/digits/open").status_code == 201
    browser = browser_of(member, enforce_csrf_checks=True)
    assert browser.get("/api/v1/projects").status_code == 200
    assert browser.post("/api/v1/samples/digits/open").status_code == 403
    token = browser.get("/").cookies["csrftoken"].value
    answer = browser.post("/api/v1/samples/digits/open", headers={"x-csrftoken": token})
    assert answer.status_code == 201
