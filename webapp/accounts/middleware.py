from collections.abc import Callable
from io import BytesIO
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.models import User
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import split_domain_port, validate_host
from django.utils.functional import SimpleLazyObject

from webapp.accounts.loopback import is_loopback, is_proxied, is_same_origin
from webapp.accounts.models import local_user as get_local_user
from webapp.accounts.tokens import token_owner
from webapp.asgi_types import Application, Receive, Scope, Send
from webapp.bodylimit import answer, is_upload
from webapp.responses import error_json, error_page

GetResponse = Callable[[HttpRequest], HttpResponse]
View = Callable[..., HttpResponseBase]

PROGRAMS = ("/api/v1/", "/api/agent/v1/")
"""Their operations ask for a token or a session themselves."""

UNKNOWN_SENDER = (
    "The session or token has ended, or there was none. Sign in, then send the file again."
)


def local_user(get_response: GetResponse) -> GetResponse:
    """Answer this machine only, and let whoever asks be the one local user."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not is_loopback(request.META.get("REMOTE_ADDR", "")):
            return error_page(request, "AdaDeep answers this machine only.", status=403)
        if is_proxied(request.headers):
            # A proxy on this machine would let everybody in as its owner.
            text = "AdaDeep without accounts answers no proxy. Set AUTH_MODE=accounts."
            return error_page(request, text, status=403)
        origin = request.headers.get("Origin")
        if origin and not is_same_origin(origin, request.headers.get("Host", "")):
            return error_page(request, "This request came from another site.", status=403)
        request.user = SimpleLazyObject(get_local_user)  # type: ignore[assignment]
        return get_response(request)

    return middleware


class SignInRequired(LoginRequiredMiddleware):
    """Nobody sees anything before signing in, but what ``login_not_required`` marks."""

    def process_view(
        self, request: HttpRequest, view_func: View, view_args: Any, view_kwargs: Any
    ) -> Any:
        if request.path.startswith(PROGRAMS):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(self, request: HttpRequest, view_func: View) -> Any:
        if request.path.startswith("/api/"):
            text = "Your session has ended. Reload the page and sign in."
            return error_json(text, code="signed_out", status=401)
        return super().handle_no_permission(request, view_func)


class KnownSockets:
    """The same for WebSockets, which Django's middleware does not see."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.with_session: Application = AuthMiddlewareStack(self._signed_in_only)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_local = settings.AUTH_MODE == "local"
        if not (self._is_local(scope) if is_local else _is_from_our_page(scope)):
            await _refuse(send, 4403)
        elif is_local:
            user = await database_sync_to_async(get_local_user)()
            await self.application({**scope, "user": user}, receive, send)
        else:
            await self.with_session(scope, receive, send)

    async def _signed_in_only(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["user"].is_authenticated:
            await self.application(scope, receive, send)
        else:
            await _refuse(send, 4401)

    def _is_local(self, scope: Scope) -> bool:
        peer = (scope.get("client") or [""])[0]
        return (
            is_loopback(peer)
            and not is_proxied(name.decode("latin1") for name, _ in scope["headers"])
            and _is_from_our_page(scope)
        )


class KnownSenders:
    """The same for uploads: Django takes in a whole body before its middleware asks who sends it.

    The scope of an upload names its ``sender`` from here on.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_upload(scope["path"], scope["method"]):
            await self.application(scope, receive, send)
        elif sender := await database_sync_to_async(_sender)(scope):
            await self.application({**scope, "sender": sender}, receive, send)
        else:
            await answer(send, 401, "signed_out", UNKNOWN_SENDER)


def _sender(scope: Scope) -> User | None:
    """Whose token or session the request has, if it works; without accounts the one local user."""
    if settings.AUTH_MODE == "local":
        return get_local_user()
    request = ASGIRequest(scope, BytesIO())
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token_owner(token)
    SessionMiddleware(lambda _: HttpResponse()).process_request(request)
    user = get_user(request)
    return user if isinstance(user, User) else None


def _is_from_our_page(scope: Scope) -> bool:
    headers = {name: value.decode("latin1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin", "")
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS) and (
        is_same_origin(origin, host) or origin in settings.CSRF_TRUSTED_ORIGINS
    )


async def _refuse(send: Send, code: int) -> None:
    await send({"type": "websocket.close", "code": code})
