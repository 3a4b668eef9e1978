import json

import jsonschema
import pytest
from django.test import Client

from tests.webapp import making
from webapp.accounts.tokens import token_create
from webapp.api.mcp_tools import TOOLS
from webapp.api.mcp_versions import STATELESS, VERSIONS, WITH_HANDSHAKE

pytestmark = pytest.mark.django_db(transaction=True)


SPACE = "io.modelcontextprotocol"
CALL = {"name": "samples", "arguments": {}}


class Assistant:
    """Speaks to `/mcp` with a token, as plain as can be."""

    def __init__(self, token):
        given = {"authorization": f"Bearer {token}"} if token else {}
        self.client = Client(enforce_csrf_checks=True, headers={"host": "localhost", **given})

    def post(self, message, **headers):
        headers = {name: text for name, text in headers.items() if text is not None}
        body = message if isinstance(message, (str, bytes)) else json.dumps(message)
        return self.client.post("/mcp", body, "application/json", headers=headers)

    def ask(self, method, **params):
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        answer = self.post(message).json()
        assert answer["id"] == 7
        return answer

    def ask_statelessly(self, method, *, version=STATELESS[0], headers=None, **params):
        """As versions without handshake do: the request says everything itself."""
        meta = {f"{SPACE}/protocolVersion": version, f"{SPACE}/clientCapabilities": {}}
        message = {"jsonrpc": "2.0", "id": 7, "method": method}
        repeated = {"mcp_protocol_version": version, "mcp_method": method}
        if "name" in params:
            repeated["mcp_name"] = params["name"]
        return self.post(
            message | {"params": {"_meta": meta, **params}}, **{**repeated, **(headers or {})}
        )

    def call(self, tool, **arguments):
        return self.ask("tools/call", name=tool, arguments=arguments)["result"]

    def value(self, tool, **arguments):
        result = self.call(tool, **arguments)
        assert not result["isError"], result["content"]
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
        return result["structuredContent"]

    def refusal(self, tool, **arguments):
        result = self.call(tool, **arguments)
        assert result["isError"]
        return result["content"][0]["text"]


@pytest.fixture
def assistant(user):
    return Assistant(token_create(owner=user, name="assistant"))


@pytest.fixture
def project(user, study_folder):
    return making.studied(user, study_folder)


@pytest.mark.parametrize("wanted", [*WITH_HANDSHAKE, "1999-01-01", "2026-07-28", None])
def test_version_with_handshake_is_agreed_on(assistant, wanted):
    result = assistant.ask("initialize", protocolVersion=wanted)["result"]
    agreed = wanted if wanted in WITH_HANDSHAKE else WITH_HANDSHAKE[0]
    assert result["protocolVersion"] == agreed
    assert result["capabilities"] == {"tools": {}}


def test_newest_version_needs_no_handshake(assistant):
    told = assistant.ask_statelessly("server/discover").json()["result"]
    assert told["supportedVersions"] == list(VERSIONS)
    assert told["capabilities"] == {"tools": {}}
    listed = assistant.ask_statelessly("tools/list").json()["result"]
    assert [tool["name"] for tool in listed["tools"]] == list(TOOLS)
    for result in (told, listed):
        assert (result["resultType"], result["cacheScope"]) == ("complete", "public")
        assert result["ttlMs"] > 0
        assert result["_meta"][f"{SPACE}/serverInfo"]["name"] == "adadeep"
    called = assistant.ask_statelessly("tools/call", **CALL)
    assert called.status_code == 200
    assert called.json()["result"]["structuredContent"]["samples"]


@pytest.mark.parametrize("method", ["initialize", "ping", "subscriptions/listen"])
def test_newest_version_knows_no_method_of_handshakes_and_streams(assistant, method):
    answer = assistant.ask_statelessly(method)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32601)


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp_protocol_version": VERSIONS[1]},
        {"mcp_method": "tools/list"},
        {"mcp_method": None},
        {"mcp_name": "devices"},
        {"mcp_name": "=?base64?????="},
        {"mcp_name": "=?base64?\xe9\xe9?="},
    ],
    ids=["version", "method", "no method", "name", "broken name", "no ASCII"],
)
def test_headers_that_say_otherwise_than_the_message_are_refused(assistant, headers):
    answer = assistant.ask_statelessly("tools/call", headers=headers, **CALL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)


def test_name_may_come_encoded(assistant):
    headers = {"mcp_name": "=?base64?c2FtcGxlcw==?="}
    assert assistant.ask_statelessly("tools/call", headers=headers, **CALL).status_code == 200


def test_version_of_the_future_is_told_which_ones_there_are(assistant):
    answer = assistant.ask_statelessly("tools/list", version="2099-01-01")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, -32022)
    assert error["data"] == {"supported": list(VERSIONS), "requested": "2099-01-01"}


def test_request_without_its_envelope_is_refused(assistant):
    bare = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = assistant.post(bare, mcp_protocol_version=STATELESS[0])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)
    assert "clientCapabilities" in answer.json()["error"]["message"]


def test_page_of_another_site_is_refused(assistant):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert assistant.post(ping, origin="http://evil.example").status_code == 403
    assert assistant.post(ping, origin="http://localhost").status_code == 200


def test_tools_are_described_by_the_types_of_the_api(assistant):
    tools = assistant.ask("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == list(TOOLS)
    for tool in tools:
        jsonschema.Draft202012Validator.check_schema(tool["inputSchema"])
        assert tool["inputSchema"]["type"] == "object"
        assert len(tool["description"]) > 30
    schema = next(tool["inputSchema"] for tool in tools if tool["name"] == "recommend")
    assert set(schema["properties"]) == {
        *("project", "goals", "budgets", "target", "locks", "config")
    }
    assert schema["required"] == ["project"]


def test_ping_is_answered_and_a_notification_is_not(assistant):
    assert assistant.ask("ping")["result"] == {}
    told = assistant.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (told.status_code, told.content) == (202, b"")


def test_batch_is_answered_one_by_one(assistant):
    ping = {"jsonrpc": "2.0", "method": "ping"}
    answers = assistant.post([ping | {"id": 1}, ping, ping | {"id": "b"}]).json()
    assert [answer["id"] for answer in answers] == [1, "b"]


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ("{", 400, -32700),
        ("[]", 200, -32600),
        ("3", 200, -32600),
        ({"id": 1, "method": "ping"}, 200, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "dance"}, 200, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": 3}, 200, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}, 200, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}}, 200, -32602),
    ],
)  # fmt: skip
def test_nonsense_is_an_error_of_the_protocol(assistant, message, status, code):
    answer = assistant.post(message)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_unknown_version_in_the_header_is_refused(assistant):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert assistant.post(ping, mcp_protocol_version="1999-01-01").status_code == 400
    assert assistant.post(ping, mcp_protocol_version=WITH_HANDSHAKE[-1]).status_code == 200


@pytest.mark.parametrize("token", ["", "adadeep_invented"])
def test_without_a_token_it_says_how_to_get_one(user, token):
    answer = Assistant(token).post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert "manage.py create_token" in answer.json()["error"]["message"]


def test_other_methods_of_http_are_not_allowed(assistant):
    assert assistant.client.get("/mcp").status_code == 405
    assert assistant.client.delete("/mcp").status_code == 405


def test_uploads_become_a_project_with_figures(assistant, user, work_off):
    files = making.project(user)
    made = assistant.value(
        "project_create", model=str(files.model_id), data=str(files.data_id), name="Points"
    )
    work_off()
    found = assistant.value("project_figures", project=made["id"])
    assert (found["project"]["name"], found["study"]["state"]) == ("Points", "ready")
    assert found["model"]["accuracy"] > 0.5
    assert {row["name"] for row in assistant.value("projects")["projects"]} == {
        "Points",
        "tiny",
    }


def test_recommendation_keeps_to_goals_and_limits(assistant, client, project):
    wanted = {"goals": {"storage": 1}, "budgets": {"max_latency_ms": 5}, "target": "redmi-3s"}
    found = assistant.value("recommend", project=str(project.id), **wanted)
    page = client.post(f"/api/projects/{project.id}/select", wanted, "application/json").json()
    assert found == page["selection"]


def test_assistant_lets_the_published_form_choose(assistant, project):
    wanted = {"project": str(project.id), "selector": "classic"}
    assert assistant.value("build_start", **wanted)["selector"]["name"] == "classic"
    (row,) = assistant.value("project_figures", project=str(project.id))["builds"]
    assert row["selector"]["title"] == "AdaDeep as published (paper)"


def test_build_goes_to_its_result_and_files(assistant, project, work_off):
    wanted = {"project": str(project.id), "target": "redmi-3s"}
    job = assistant.value("build_start", **wanted)["id"]
    assert assistant.value("build_start", **wanted)["id"] == job
    assert "no result yet" in assistant.refusal("result", job=job)
    work_off()
    assert assistant.value("job_state", job=job)["state"] == "done"
    result = assistant.value("result", job=job)
    assert (result["status"], result["ratios"]["size"]) == ("met", 20.0)
    files = assistant.value("downloads", job=job)["files"]
    (model,) = [file for file in files if file["name"] == "model.onnx"]
    assert model["url"].startswith("http://localhost/api/v1/jobs/")
    assert b"".join(assistant.client.get(model["url"])) == b"a small network"


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("recommend", {"target": "toaster"}, "There is no device 'toaster'."),
        ("recommend", {"budgets": {"max_latency_ms": 0}}, "no network can meet"),
        ("recommend", {"goals": {"speed": 1}}, "goals.speed: "),
        ("build_start", {"selector": "magic"}, "Take one of: dqn, classic, greedy, "),
        ("recommend", {"config": [1, 2]}, "This candidate belongs to another study."),
        ("project_figures", {"project": "x"}, "project: "),
        ("project_create", {"project": None}, "project: "),
    ],
)
def test_refusal_is_a_sentence_for_the_assistant(assistant, project, tool, arguments, sentence):
    arguments = {"project": str(project.id), **arguments}
    assert sentence in assistant.refusal(tool, **arguments)


def test_project_of_nothing_is_refused(assistant):
    assert "Name a sample" in assistant.refusal("project_create")
    assert assistant.refusal("project_create", sample="toaster") == "There is no such sample."


def test_before_the_study_can_answer_it_says_so(assistant, user):
    found = making.project(user)
    assert "Still studying" in assistant.refusal("recommend", project=str(found.id))


def test_strangers_get_nothing(stranger, project, work_off, user):
    """Every tool that takes the name of something of a person's, so that a new one is tried by itself."""
    other = Assistant(token_create(owner=stranger, name="assistant"))
    theirs = {
        "project": (project.id, "There is no such project."),
        "job": (project.study.job_id, "There is no such job."),
        "model": (project.model_id, "There is no such upload. Send the file again."),
    }
    tried = set()
    for name, tool in TOOLS.items():
        for argument in theirs.keys() & tool.arguments.model_fields:
            named, refusal = theirs[argument]
            assert other.refusal(name, **{argument: str(named)}) == refusal, name
            tried.add(name)
    assert tried >= {"project_create", "project_figures", "build_start", "result", "downloads"}
    assert set(TOOLS) - tried == {"devices", "samples", "projects"}
    assert other.value("projects") == {"projects": []}


def test_devices_and_samples_are_named(assistant):
    assert {"this-host", "rpi4"} <= {
        row["name"] for row in assistant.value("devices")["devices"]
    }
    assert {row["name"] for row in assistant.value("samples")["samples"]} >= {"digits"}
