"""A limit on what people send in one request, kept before Django spools the first byte to disk."""

from channels.db import database_sync_to_async

from webapp.asgi_types import Application, Receive, Scope, Send
from webapp.bodylimit import answer, body_length, is_chunk, is_upload
from webapp.projects.quotas import upload_quota_reserve
from webapp.responses import RequestRefusedError

# In threads of their own: a lock that is waited for holds up no other request.
_reserve = database_sync_to_async(upload_quota_reserve, thread_sensitive=False)


class QuotaLimit:
    """Reserves room in the sender's quota while a file comes, or refuses it. What comes in chunks was announced itself.

    The scope of a file that is taken in has its reservation as ``reserved``.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if not is_upload(path, method) or is_chunk(path, method):
            await self.application(scope, receive, send)
            return
        try:
            length = body_length(scope) or 0
            reserved = await _reserve(owner=scope["sender"], length=length)
        except RequestRefusedError as error:
            await answer(send, error.status, error.code, str(error))
            return
        try:
            await self.application({**scope, "reserved": reserved}, receive, send)
        finally:
            reserved.give_back()
