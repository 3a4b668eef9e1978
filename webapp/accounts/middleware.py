from collections.abc import Callable

from channels.db import database_sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.utils.functional import SimpleLazyObject

from webapp.accounts.loopback import is_loopback, is_same_origin
from webapp.accounts.models import local_user as get_local_user
from webapp.asgi_types import Application, Receive, Scope, Send
from webapp.responses import error_page

GetResponse = Callable[[HttpRequest], HttpResponse]


def local_user(get_response: GetResponse) -> GetResponse:
    """Answer this machine only, and let whoever asks be the one local user."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not is_loopback(request.META.get("REMOTE_ADDR", "")):
            return error_page(request, "AdaDeep answers this machine only.", status=403)
        origin = request.headers.get("Origin")
        if origin and not is_same_origin(origin, request.headers.get("Host", "")):
            return error_page(request, "This request came from another site.", status=403)
        request.user = SimpleLazyObject(get_local_user)  # type: ignore[assignment]
        return get_response(request)

    return middleware


class LocalSockets:
    """The same for WebSockets, which Django's middleware does not see."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_ours(scope):
            await send({"type": "websocket.close", "code": 4403})
            return
        user = await database_sync_to_async(get_local_user)()
        await self.application({**scope, "user": user}, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        headers = {name: value.decode("latin1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        peer = (scope.get("client") or [""])[0]
        return (
            is_loopback(peer)
            and validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
            and is_same_origin(headers.get(b"origin", ""), host)
        )
