import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from tests.webapp import making
from tests.webapp.api.conftest import Program
from webapp.accounts.models import AuditEvent, EventKind, Token
from webapp.accounts.tokens import token_create

pytestmark = pytest.mark.django_db(transaction=True)


def created(name, *options):
    out = io.StringIO()
    call_command("create_token", name, *options, stdout=out)
    return out.getvalue().strip()


def test_created_token_lets_a_program_change_things_without_csrf():
    program = Program(created("ci"))
    assert program.post("samples/digits/open").status_code == 201


def test_token_is_kept_as_a_hash_only():
    token = created("ci")
    (kept,) = Token.objects.values()
    assert token not in str(kept)


def test_new_token_of_a_name_ends_the_former():
    former, newer = created("ci"), created("ci")
    assert Program(former).get("projects").status_code == 401
    assert Program(newer).get("projects").status_code == 200


def test_deleted_token_ends():
    token = created("ci")
    created("ci", "--delete")
    answer = Program(token).get("projects")
    assert answer.status_code == 401
    assert "not known here, or it has ended" in answer.json()["error"]["message"]
    with pytest.raises(CommandError, match="no token 'ci'"):
        created("ci", "--delete")


def test_tokens_of_the_command_line_are_in_the_audit_log():
    created("ci")
    created("ci", "--delete")
    events = AuditEvent.objects.order_by("t").values_list("kind", "account", "detail")
    assert list(events) == [
        (EventKind.TOKEN_CREATED, "local", "ci, on the command line"),
        (EventKind.TOKEN_ENDED, "local", "ci, on the command line"),
    ]


def test_change_without_a_token_says_how_to_get_one(user):
    answer = Program().post("samples/digits/open")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf")
    assert "manage.py create_token" in answer.json()["error"]["message"]


def test_page_changes_things_with_its_csrf_token(user):
    page = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    page.get("/")
    token = page.cookies["csrftoken"].value
    answer = page.post("/api/v1/samples/digits/open", headers={"x-csrftoken": token})
    assert answer.status_code == 201


def test_token_speaks_for_its_owner_only(user, stranger):
    theirs = making.project(stranger)
    assert Program(token_create(owner=user, name="a")).get("projects").json() == {
        "projects": []
    }
    (row,) = Program(token_create(owner=stranger, name="a")).get("projects").json()["projects"]
    assert row["id"] == str(theirs.id)
