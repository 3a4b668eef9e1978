"""What agents ask: ``/api/agent/v1/``. A token opens the tasks of its own device and nothing else."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import NinjaAPI
from ninja.security import HttpBearer

from webapp.agents import connections, graphs, services
from webapp.agents.archive import agent_url, agent_version
from webapp.agents.lease import TaskGoneError, TaskLease
from webapp.agents.models import Agent
from webapp.agents.results import Introduction
from webapp.api.errors import add_handlers
from webapp.devices.agent.protocol import SESSION
from webapp.responses import RequestRefusedError, error_json, file_stream

WAIT_FOR_WORK_S = 25.0
LOOK_EVERY_S = 1.0

UNKNOWN = "This token is not known here, or it has ended. The device's page makes a new one."
SUPERSEDED = "Another agent has connected with this device's token; this one stops."
GONE = "This task is in other hands, or it has ended."


class AgentRequest(HttpRequest):
    """A request as the operations get it: ``DeviceToken`` has said which agent asks."""

    auth: Agent


class DeviceToken(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> Agent:
        agent = connections.agent_of(token)
        if agent is None:
            raise RequestRefusedError(UNKNOWN, code="unknown_token", status=401)
        if not request.path.endswith("/hello"):
            _check_session(request, agent)
        return agent


def _check_session(request: HttpRequest, agent: Agent) -> None:
    if agent.version and agent.version != agent_version():
        raise connections.outdated(agent.version, agent_url(request))
    if not agent.session or request.headers.get(SESSION) != agent.session:
        raise RequestRefusedError(SUPERSEDED, code="superseded", status=409)


api = NinjaAPI(
    title="AdaDeep agents",
    urls_namespace="agent",
    auth=DeviceToken(),
    docs_url=None,
    openapi_url=None,
)
add_handlers(api)

Json = dict[str, Any]


@api.exception_handler(TaskGoneError)
def _gone(_request: HttpRequest, _error: Any) -> HttpResponse:
    return error_json(GONE, code="task_gone", status=409)


@api.post("/hello", response=Json, summary="An agent introduces itself")
def hello(request: AgentRequest, said: Introduction) -> Any:
    agent = request.auth
    session = connections.agent_hello(agent=agent, said=said, download=agent_url(request))
    return {"session": session, "device": agent.device.title}


@api.post("/next", response=Json, summary="The next task; waits for one a while")
def next_task(request: AgentRequest) -> StreamingHttpResponse:
    # A stream holds no thread while it waits, and ends with the connection.
    return StreamingHttpResponse(_waited(request.auth), content_type="application/json")


@api.get("/tasks/{uuid:task_id}/{int:attempt}/graphs/{int:number}", summary="A task's graph")
def graph(
    request: AgentRequest, task_id: UUID, attempt: int, number: int
) -> StreamingHttpResponse:
    path = graphs.graph_path(_held(request, task_id, attempt).task(), number)
    if path is None or not path.is_file():
        raise Http404("This task has no such graph.")
    return file_stream(path)


@api.post("/tasks/{uuid:task_id}/{int:attempt}/beat", response=Json, summary="Still measuring")
def beat(request: AgentRequest, task_id: UUID, attempt: int) -> Any:
    _held(request, task_id, attempt).beat()
    connections.agent_seen(agent=request.auth)
    return {}


@api.post("/tasks/{uuid:task_id}/{int:attempt}/result", response=Json, summary="What came out")
def result(request: AgentRequest, task_id: UUID, attempt: int) -> Any:
    services.result_take(held=_held(request, task_id, attempt), body=request.body)
    return {}


@api.post("/goodbye", response=Json, summary="The agent stops")
def goodbye(request: AgentRequest) -> Any:
    connections.agent_goodbye(agent=request.auth)
    return {}


def _held(request: AgentRequest, task_id: UUID, attempt: int) -> TaskLease:
    return TaskLease(request.auth.device_id, task_id, attempt)


async def _waited(agent: Agent) -> AsyncIterator[str]:
    end = time.monotonic() + WAIT_FOR_WORK_S
    while True:
        task = await _look(agent)
        if task or time.monotonic() > end:
            yield json.dumps({"task": task})
            return
        await asyncio.sleep(LOOK_EVERY_S)


@database_sync_to_async  # type: ignore[untyped-decorator]  # Channels ships no types
def _look(agent: Agent) -> Json | None:
    """The agent as it is now: meanwhile another run may have taken its place, or nobody."""
    now = Agent.objects.select_related("device").filter(pk=agent.pk, session=agent.session)
    if found := now.first():
        connections.agent_seen(agent=found)
        return services.task_hand_out(agent=found)
    return None
