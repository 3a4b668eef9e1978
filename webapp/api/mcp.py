"""The Model Context Protocol at ``/mcp``: JSON-RPC over single requests, without sessions and streams.

Specification: modelcontextprotocol.io, "Streamable HTTP", which leaves both to the server.
"""

import json
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from webapp.api import mcp_tools
from webapp.api.auth import SIGN_IN, Token
from webapp.responses import RequestRefusedError, error_json

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
"""The newest first: it is offered to whoever speaks none of them."""

INSTRUCTIONS = """AdaDeep makes a trained ONNX network smaller for a device. Usual order: devices and samples;
project_create, which starts a study; job_state until the study is done; recommend, with goals and limits;
build_start; job_state until the build is done; result and downloads. A file becomes an upload by the JSON API
(/api/v1/docs). Every figure says whether it was measured or predicted: keep that when you repeat it."""

NOT_A_REQUEST, NO_SUCH_METHOD, BAD_PARAMETERS = -32600, -32601, -32602
UNPARSABLE = -32700

Message = dict[str, Any]


class RpcError(Exception):
    """A message that is answered by an error of the protocol."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@login_not_required  # a token says who asks
@csrf_exempt
@require_POST
def mcp(request: HttpRequest) -> HttpResponse:
    try:
        _check_sender(request)
    except RequestRefusedError as error:
        answer = error_json(str(error), code=error.code, status=error.status)
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    if request.headers.get("MCP-Protocol-Version", VERSIONS[0]) not in VERSIONS:
        text = f"This server speaks the protocol's versions {', '.join(VERSIONS)}."
        return JsonResponse(_failed(None, NOT_A_REQUEST, text), status=400)
    try:
        said = json.loads(request.body)
    except ValueError:
        return JsonResponse(_failed(None, UNPARSABLE, "This is not JSON."), status=400)
    return _answered(request, said)


def _check_sender(request: HttpRequest) -> None:
    if Token()(request) is None:
        raise RequestRefusedError(SIGN_IN, code="signed_out", status=401)


def _answered(request: HttpRequest, said: Any) -> HttpResponse:
    """One answer to one message, several to a batch, none where nothing was asked."""
    is_batch = isinstance(said, list) and said
    messages = said if is_batch else [said]
    answers = [answer for message in messages if (answer := _answer(request, message))]
    if not answers:
        return HttpResponse(status=202)
    return JsonResponse(
        answers if is_batch else answers[0], safe=False, encoder=DjangoJSONEncoder
    )


def _answer(request: HttpRequest, message: Any) -> Message | None:
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return _failed(None, NOT_A_REQUEST, "This is no message of JSON-RPC 2.0.")
    if "method" not in message or "id" not in message:
        return None  # a notification, or an answer to something that was never asked
    try:
        result = _done(request, message["method"], message.get("params") or {})
    except RpcError as error:
        return _failed(message["id"], error.code, str(error))
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def _done(request: HttpRequest, method: object, params: Any) -> Message:
    if not isinstance(params, dict):
        raise RpcError(BAD_PARAMETERS, "The parameters must be an object.")
    match method:
        case "initialize":
            return _introduction(params.get("protocolVersion"))
        case "ping":
            return {}
        case "tools/list":
            return {"tools": [tool.described() for tool in mcp_tools.TOOLS.values()]}
        case "tools/call":
            return _called(request, params)
    raise RpcError(NO_SUCH_METHOD, f"This server knows no method {method!r}.")


def _introduction(wanted: object) -> Message:
    return {
        "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "adadeep", "title": "AdaDeep", "version": "1"},
        "instructions": INSTRUCTIONS,
    }


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


def _failed(number: Any, code: int, text: str) -> Message:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}}
