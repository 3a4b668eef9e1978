import asyncio
import json
import threading

import pytest
from django.db import connections
from django.test import AsyncClient

from tests.webapp import making
from webapp.jobs import tasks
from webapp.jobs.models import Job

pytestmark = pytest.mark.django_db(transaction=True)

STREAM = {"accept": "text/event-stream"}


async def stream(path, **headers):
    """The messages of a stream until it ends: (number, kind, value)."""
    answer = await AsyncClient().get(path, headers={**STREAM, **headers})
    assert answer["Content-Type"] == "text/event-stream"
    async with asyncio.timeout(20):
        text = "".join([chunk.decode() async for chunk in answer.streaming_content])
    return [_message(block) for block in text.split("\n\n") if block]


def _message(block):
    fields = dict(line.split(": ", 1) for line in block.splitlines())
    number = int(fields["id"]) if "id" in fields else None
    return number, fields["event"], json.loads(fields["data"])


def numbers(messages):
    return [number for number, kind, _ in messages if kind == "event"]


async def test_stream_of_a_finished_job_has_every_event_and_ends(user, work_off):
    job = await asyncio.to_thread(making.study, user)
    await asyncio.to_thread(work_off)
    last = (await Job.objects.aget(pk=job.pk)).last_seq
    messages = await stream(f"/api/v1/jobs/{job.id}/events")
    assert numbers(messages) == list(range(1, last + 1))
    assert (messages[-1][1], messages[-1][2]["state"]) == ("end", "done")


@pytest.mark.parametrize("way", ["query", "header"])
async def test_stream_goes_on_after_a_number(user, work_off, way):
    job = await asyncio.to_thread(making.study, user)
    await asyncio.to_thread(work_off)
    last = (await Job.objects.aget(pk=job.pk)).last_seq
    path = f"/api/v1/jobs/{job.id}/events"
    messages = (
        await stream(f"{path}?after={last - 2}")
        if way == "query"
        else await stream(path, **{"last-event-id": str(last - 2)})
    )
    assert numbers(messages) == [last - 1, last]


async def test_events_come_while_the_job_runs(user, engine):
    engine(INSPECT={"sleep_s": 1})
    job = await asyncio.to_thread(making.study, user)

    def work():
        for _ in range(2):  # the quick queue, then the engine's
            tasks.run(str(job.id))
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    messages = await stream(f"/api/v1/jobs/{job.id}/events")
    worker.join()
    states = [value["state"] for _, kind, value in messages if kind == "job"]
    assert states[0] in ("queued", "running")
    assert states[-1] == "done"
    found = numbers(messages)
    assert found == list(range(1, len(found) + 1))


async def test_stream_of_a_strangers_job_is_refused(stranger):
    job = await asyncio.to_thread(making.study, stranger)
    answer = await AsyncClient().get(f"/api/v1/jobs/{job.id}/events", headers=STREAM)
    assert answer.status_code == 404


def test_without_accept_events_are_json(client, user, work_off):
    job = making.study(user)
    work_off()
    found = client.get(f"/api/v1/jobs/{job.id}/events?after=3").json()
    assert found["events"][0]["seq"] == 4
    assert found["job"]["state"] == "done"
