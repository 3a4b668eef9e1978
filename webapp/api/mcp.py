"""The Model Context Protocol at ``/mcp``: JSON-RPC over single requests, without sessions and streams.

Specification: modelcontextprotocol.io, "Streamable HTTP", which leaves both to the server.
"""

import json
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from webapp.api import mcp_tools
from webapp.api.auth import SIGN_IN, Token
from webapp.api.mcp_versions import (
    BAD_PARAMETERS,
    NO_SUCH_METHOD,
    NOT_A_REQUEST,
    UNPARSABLE,
    VERSIONS,
    WITH_HANDSHAKE,
    Message,
    RpcError,
    check_origin,
    is_stateless,
    status_of,
)
from webapp.api.pace import count_request
from webapp.responses import RequestRefusedError, error_json

INSTRUCTIONS = """AdaDeep makes a trained ONNX network smaller for a device. Usual order: devices and samples;
project_create, which starts a study; job_state until the study is done; recommend, with goals and limits;
build_start; job_state until the build is done; result and downloads. A file becomes an upload by the JSON API
(/api/v1/docs). Every figure says whether it was measured or predicted: keep that when you repeat it."""

SERVER = {"name": "adadeep", "title": "AdaDeep", "version": "1"}
CAPABILITIES: Message = {"tools": {}}
KEPT_FOR = {"ttlMs": 300_000, "cacheScope": "public"}
"""How long a client may keep what is the same for everybody: until another version of AdaDeep may run."""


@login_not_required  # a token says who asks
@csrf_exempt
@require_POST
def mcp(request: HttpRequest) -> HttpResponse:
    try:
        said = _said(request, _sender(request))
    except RequestRefusedError as error:
        answer = error_json(str(error), code=error.code, status=error.status, **error.facts)
        if error.status == 401:
            answer["WWW-Authenticate"] = "Bearer"
        return answer
    except ValueError:
        return JsonResponse(_failed(None, UNPARSABLE, "This is not JSON."), status=400)
    if isinstance(said, list) and said:
        return _batch(request, said)
    status, answer_to_one = _answer(request, said)
    if answer_to_one is None:
        return HttpResponse(status=202)
    return JsonResponse(answer_to_one, status=status, encoder=DjangoJSONEncoder)


def _sender(request: HttpRequest) -> User:
    check_origin(request)
    sender: User | None = Token()(request)
    if sender is None:
        raise RequestRefusedError(SIGN_IN, code="signed_out", status=401)
    return sender


def _said(request: HttpRequest, sender: User) -> Any:
    """What the body says; a batch counts as many requests as it holds messages."""
    said = json.loads(request.body)
    if isinstance(said, list) and said:
        count_request(request, sender, len(said) - 1)  # one is counted already
    return said


def _batch(request: HttpRequest, messages: list[Any]) -> HttpResponse:
    """Several messages at once, as versions before 2025-06-18 send them; none where nothing was asked."""
    answers = [answer for message in messages if (answer := _answer(request, message)[1])]
    if not answers:
        return HttpResponse(status=202)
    return JsonResponse(answers, safe=False, encoder=DjangoJSONEncoder)


def _answer(request: HttpRequest, message: Any) -> tuple[int, Message | None]:
    """Status and answer; no answer to what asks nothing."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return 200, _failed(None, NOT_A_REQUEST, "This is no message of JSON-RPC 2.0.")
    if "method" not in message or "id" not in message:
        return 202, None  # a notification, or an answer to something that was never asked
    number, stateless = message["id"], True
    try:
        stateless = is_stateless(request.headers, message)
        result = _done(
            request, message["method"], message.get("params") or {}, stateless=stateless
        )
    except RpcError as error:
        status = status_of(error.code) if stateless else 200
        return status, _failed(number, error.code, str(error), error.data)
    return 200, {"jsonrpc": "2.0", "id": number, "result": result}


def _done(request: HttpRequest, method: object, params: Any, *, stateless: bool) -> Message:
    if not isinstance(params, dict):
        raise RpcError(BAD_PARAMETERS, "The parameters must be an object.")
    if not stateless:
        return _result(request, method, params)
    result = _result_without_handshake(request, method, params)
    named = {"_meta": {"io.modelcontextprotocol/serverInfo": SERVER}}
    return {"resultType": "complete", **result, **named}


def _result(request: HttpRequest, method: object, params: Message) -> Message:
    match method:
        case "initialize":
            return _introduction(params.get("protocolVersion"))
        case "ping":
            return {}
        case "tools/list":
            return _tools()
        case "tools/call":
            return _called(request, params)
    raise RpcError(NO_SUCH_METHOD, f"This server knows no method {method!r}.")


def _result_without_handshake(request: HttpRequest, method: object, params: Message) -> Message:
    match method:
        case "server/discover":
            told = {"capabilities": CAPABILITIES, "instructions": INSTRUCTIONS}
            return {"supportedVersions": list(VERSIONS), **told, **KEPT_FOR}
        case "tools/list":
            return {**_tools(), **KEPT_FOR}
        case "tools/call":
            return _called(request, params)
    raise RpcError(NO_SUCH_METHOD, f"This server knows no method {method!r}.")


def _introduction(wanted: object) -> Message:
    return {
        "protocolVersion": wanted if wanted in WITH_HANDSHAKE else WITH_HANDSHAKE[0],
        "capabilities": CAPABILITIES,
        "serverInfo": SERVER,
        "instructions": INSTRUCTIONS,
    }


def _tools() -> Message:
    return {"tools": [tool.described() for tool in mcp_tools.TOOLS.values()]}


def _called(request: HttpRequest, params: Message) -> Message:
    tool = mcp_tools.TOOLS.get(str(params.get("name")))
    if tool is None:
        raise RpcError(BAD_PARAMETERS, f"There is no tool {params.get('name')!r}.")
    try:
        value = tool.call(request, params.get("arguments") or {})
    except mcp_tools.REFUSALS as error:
        # Not an error of the protocol: whoever asked reads the sentence and may ask better.
        return {"content": [_text(mcp_tools.sentence(error))], "isError": True}
    text = json.dumps(value, cls=DjangoJSONEncoder)
    return {"content": [_text(text)], "structuredContent": json.loads(text), "isError": False}


def _text(text: str) -> Message:
    return {"type": "text", "text": text}


def _failed(number: Any, code: int, text: str, data: Message | None = None) -> Message:
    error: Message = {"code": code, "message": text}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": number, "error": error}
