import json

import pytest
from django.test import Client

from tests.webapp.agents.conftest import address, build
from tests.webapp.agents.test_finalists import study
from webapp.accounts.tokens import token_create

__all__ = ["address", "build", "study"]


class Program:
    """Asks with a token, without cookies, and with CSRF checks on."""

    def __init__(self, token=None):
        given = {"authorization": f"Bearer {token}"} if token else {}
        self.client = Client(enforce_csrf_checks=True, headers={"host": "localhost", **given})

    def ask(self, method, path, value=None, **options):
        body = "" if value is None else json.dumps(value)
        options = {"content_type": "application/json", **options}
        return self.client.generic(method, f"/api/v1/{path}", body, **options)

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, value=None):
        return self.ask("POST", path, {} if value is None else value)

    def send(self, kind, content, name="file"):
        return self.client.generic(
            "POST", f"/api/v1/uploads/{kind}?name={name}", content, content_type="any/thing"
        )


@pytest.fixture
def program(user):
    return Program(token_create(owner=user, name="test"))
