"""Static files straight from the ASGI server: through Django each costs several times as much, and a page has fifty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whitenoise.middleware import WhiteNoiseMiddleware

from webapp.middleware import headers_of

if TYPE_CHECKING:
    from whitenoise.responders import Response

    from webapp.asgi_types import Application, Receive, Scope, Send

CHUNK = 256 * 1024


class StaticFiles:
    """Answers for the files that WhiteNoise knows; the rest is the application's."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.files = WhiteNoiseMiddleware().files  # as the settings say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        file = self.files.get(path)
        if file is None:
            await self.application(scope, receive, send)
            return
        response = file.get_response(scope["method"], _environment(scope))
        headers = {**headers_of(path), **dict(response.headers)}
        await send(
            {
                "type": "http.response.start",
                "status": int(response.status),
                "headers": [
                    (name.lower().encode(), text.encode()) for name, text in headers.items()
                ],
            }
        )
        await _send_body(response, send)


def _environment(scope: Scope) -> dict[str, str]:
    """The request's headers by the names that WSGI has for them."""
    return {
        f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}": text.decode("latin-1")
        for name, text in scope["headers"]
    }


async def _send_body(response: Response, send: Send) -> None:
    if response.file is not None:
        with response.file as file:
            while chunk := file.read(CHUNK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
