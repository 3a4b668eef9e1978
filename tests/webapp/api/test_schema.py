"""Requests made up from the API's own description, against the real application and database."""

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from tests.webapp import making
from tests.webapp.test_own_devices import create
from webapp.accounts.tokens import token_create
from webapp.agents.connections import agent_connect
from webapp.agents.services import calibration_start

pytestmark = pytest.mark.django_db(transaction=True)

schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
CHECKS = [not_a_server_error, response_schema_conformance]


@pytest.fixture
def known(user, study_folder):
    """Names of what exists, and a token: most made-up requests would end at an unknown name."""
    project = making.studied(user, study_folder)
    device = create(user, means="agent")
    agent_connect(device=device)
    return {
        "project_id": str(project.id),
        "job_id": str(project.study.job.id),
        "device_id": str(device.id),
        "task_id": str(calibration_start(device=device).pk),
        "transfer_id": str(making.begun(user).id),
        "token": token_create(owner=user, name="schema"),
    }


def made_up(count):
    """So many requests for each call of the API, the same ones each time."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@schema.parametrize()
@made_up(10)
def test_no_request_of_the_schema_breaks_the_server(case, known):
    ask(case, known)


@pytest.mark.slow
@pytest.mark.timeout(900)
@schema.parametrize()
@made_up(150)
def test_no_request_of_a_longer_series_breaks_the_server(case, known):
    ask(case, known)


def ask(case, known):
    for name in ("project_id", "job_id", "device_id", "task_id", "transfer_id"):
        if name in case.path_parameters:
            case.path_parameters[name] = known[name]
    headers = {"Authorization": f"Bearer {known['token']}"}
    case.call_and_validate(headers=headers, checks=CHECKS)
