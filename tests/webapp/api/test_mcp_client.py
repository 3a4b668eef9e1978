"""A whole piece of work by the official client of the protocol, against the running product."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.e2e import staging
from tests.webapp.running import ROOT, environment
from webapp.api.mcp_versions import STATELESS, WITH_HANDSHAKE


@pytest.fixture
def here(tmp_path):
    with staging.prepared(tmp_path) as installation:
        yield installation


@pytest.fixture
def token(here):
    made = subprocess.run(
        [sys.executable, "manage.py", "create_token", "assistant"],
        cwd=ROOT,
        env=environment(here.home),
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout.strip()


async def test_sample_is_studied_built_and_fetched(here, token):
    async with connected(here, token, mode="auto") as client:
        assert client.protocol_version == STATELESS[0]
        await work(client)


async def test_client_of_an_earlier_version_shakes_hands(here, token):
    async with connected(here, token, mode="legacy") as client:
        assert client.protocol_version == WITH_HANDSHAKE[0]
        assert not (await client.call_tool("samples", {})).is_error


@asynccontextmanager
async def connected(here, token, mode):
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(f"{here.url}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


async def work(client):
    async def ask(tool, **arguments):
        result = await client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        return result.structured_content

    async def ended(job):
        async with asyncio.timeout(60):
            while (state := (await ask("job_state", job=job))["state"]) in (
                "queued",
                "running",
            ):
                await asyncio.sleep(0.2)
        return state

    tools = {tool.name for tool in (await client.list_tools()).tools}
    assert tools >= {"project_create", "recommend", "build_start", "result", "downloads"}
    sample = (await ask("samples"))["samples"][0]["name"]
    project = await ask("project_create", sample=sample)
    assert await ended(project["job"]["id"]) == "done"
    wanted = {"goals": {"storage": 1}, "target": "redmi-3s"}
    recipe = await ask("recommend", project=project["id"], **wanted)
    assert recipe["prediction"]["size_bytes"]
    build = await ask("build_start", project=project["id"], **wanted)
    assert await ended(build["id"]) == "done"
    assert (await ask("result", job=build["id"]))["status"] == "met"
    names = {file["name"] for file in (await ask("downloads", job=build["id"]))["files"]}
    assert "model.onnx" in names
    refused = await client.call_tool(
        "recommend", {"project": project["id"], "target": "toaster"}
    )
    assert refused.is_error
    assert refused.content[0].text == "There is no device 'toaster'."
