"""What a browser gets, straight from the ASGI application; static files never come near Django."""

import asyncio

import httpx

from webapp.asgi import application


def fetched(path: str, **headers: str) -> httpx.Response:
    async def ask():
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost"
        ) as browser:
            sent = {name.replace("_", "-"): text for name, text in headers.items()}
            return await browser.get(path, headers=sent)

    return asyncio.run(ask())
