"""A browser's end of a WebSocket, straight at the ASGI application."""

import json

from asgiref.testing import ApplicationCommunicator

from webapp.asgi import application

OURS = [(b"host", b"localhost:8000"), (b"origin", b"http://localhost:8000")]


class Watcher(ApplicationCommunicator):
    def __init__(self, path, headers=OURS, peer="127.0.0.1"):
        path, _, query = path.partition("?")
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "headers": headers,
            "client": [peer, 5000],
            "subprotocols": [],
        }
        super().__init__(application, scope)

    async def connect(self):
        """Whether the server took us."""
        await self.send_input({"type": "websocket.connect"})
        return (await self.receive_output(5))["type"] == "websocket.accept"

    async def send(self, value):
        await self.send_input({"type": "websocket.receive", "text": json.dumps(value)})

    async def next(self):
        return json.loads((await self.receive_output(5))["text"])

    async def received(self, kind, count=1):
        """The next messages of that kind; others are let by."""
        found = []
        while len(found) < count:
            message = await self.next()
            if message["kind"] == kind:
                found.append(message)
        return found

    async def numbers(self, count):
        """Of the next events, however many come in a message."""
        found = []
        while len(found) < count:
            (message,) = await self.received("events")
            found += [event["seq"] for event in message["events"]]
        return found

    async def leave(self):
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(5)
