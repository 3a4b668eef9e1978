import asyncio
import subprocess

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from redis.exceptions import RedisError

from tests.webapp import making
from tests.webapp.running import wait_for
from tests.webapp.sockets import OURS, Watcher
from webapp.accounts.leaving import sockets_of
from webapp.jobs import lease, queries
from webapp.jobs.events import Line, append, group, nudge
from webapp.jobs.feed import watching
from webapp.jobs.models import Job
from webapp.sockets import forget
from webapp.supervision import broker

pytestmark = pytest.mark.django_db(transaction=True)


def emit(held, *texts):
    append(held, [Line(stage="INSPECT", kind="log", data={"text": text}) for text in texts])


@pytest.fixture
def job(user):
    return making.study(user)


@pytest.fixture
def held(job):
    held = lease.claim(job.id)
    emit(held, "one", "two", "three")
    return held


async def test_watcher_gets_the_state_then_all_events(job, held):
    watcher = Watcher(f"/ws/jobs/{job.id}/")
    assert await watcher.connect()
    first = await watcher.next()
    assert (first["kind"], first["job"]["id"]) == ("state", str(job.id))
    assert await watcher.numbers(3) == [1, 2, 3]
    await watcher.leave()


async def test_watcher_that_comes_back_gets_what_it_missed(job, held):
    watcher = Watcher(f"/ws/jobs/{job.id}/?after=2")
    await watcher.connect()
    assert await watcher.numbers(1) == [3]
    await watcher.leave()


async def test_watcher_with_a_number_that_no_event_has_gets_all_events(job, held):
    watcher = Watcher(f"/ws/jobs/{job.id}/?after=%C2%B2")
    assert await watcher.connect()
    assert await watcher.numbers(3) == [1, 2, 3]
    await watcher.send({"kind": "sync", "after": "²"})
    assert await watcher.numbers(3) == [1, 2, 3]
    await watcher.leave()


async def test_new_events_arrive_live_and_in_order(job, held):
    watcher = Watcher(f"/ws/jobs/{job.id}/?after=3")
    await watcher.connect()
    for text in ("four", "five", "six"):
        await sync_to_async(emit)(held, text)
    assert await watcher.numbers(3) == [4, 5, 6]
    await watcher.leave()


async def test_lost_notice_leaves_no_gap(job, held, monkeypatch):
    watcher = Watcher(f"/ws/jobs/{job.id}/?after=3")
    await watcher.connect()
    with monkeypatch.context() as patch:
        patch.setattr("webapp.jobs.events.nudge", lambda *_: None)
        await sync_to_async(emit)(held, "four", "five")
    await sync_to_async(emit)(held, "six")
    assert await watcher.numbers(3) == [4, 5, 6]
    await watcher.leave()


async def test_sync_heals_a_lost_last_notice(job, held, monkeypatch):
    watcher = Watcher(f"/ws/jobs/{job.id}/?after=3")
    await watcher.connect()
    monkeypatch.setattr("webapp.jobs.events.nudge", lambda *_: None)
    await sync_to_async(emit)(held, "four")
    await watcher.send({"kind": "sync", "after": 3})
    assert await watcher.numbers(1) == [4]
    await watcher.leave()


async def test_sync_tells_of_an_end_whose_notice_was_lost(job, held):
    watcher = Watcher(f"/ws/jobs/{job.id}/?after=3")
    await watcher.connect()
    assert (await watcher.next())["job"]["state"] == "running"
    await sync_to_async(Job.objects.filter(pk=job.id).update)(state="done")
    await watcher.send({"kind": "sync", "after": 3})
    (told,) = await watcher.received("state")
    assert told["job"]["state"] == "done"
    await watcher.leave()


@pytest.mark.parametrize("page", ["jobs", "projects"])
async def test_sync_is_answered_though_nothing_was_missed(job, held, page):
    watched = {"jobs": job.id, "projects": job.project_id}[page]
    watcher = Watcher(f"/ws/{page}/{watched}/?after=3")
    await watcher.connect()
    await watcher.send({"kind": "sync", "after": 3})
    assert await watcher.received("synced")
    await watcher.leave()


async def test_sync_heals_an_emptied_broker(job, held):
    watcher = Watcher(f"/ws/jobs/{job.id}/?after=3")
    await watcher.connect()
    await watcher.received("state")
    get_channel_layer().groups.clear()
    await sync_to_async(emit)(held, "four")
    await watcher.send({"kind": "sync", "after": 3})
    assert await watcher.numbers(1) == [4]
    await sync_to_async(emit)(held, "five")
    assert await watcher.numbers(1) == [5]
    await watcher.leave()


@pytest.mark.parametrize("page", ["jobs", "projects"])
async def test_sync_closes_the_socket_of_an_account_whose_closing_nobody_told(job, user, page):
    watched = {"jobs": job.id, "projects": job.project_id}[page]
    watcher = Watcher(f"/ws/{page}/{watched}/")
    assert await watcher.connect()
    await watcher.next()
    await sync_to_async(User.objects.filter(pk=user.pk).update)(is_active=False)
    await watcher.send({"kind": "sync"})
    assert await watcher.receive_output(5) == {"type": "websocket.close", "code": 4401}


async def test_many_pages_of_a_job_ask_for_its_state_once(job, held, monkeypatch):
    watchers = [Watcher(f"/ws/jobs/{job.id}/?after=3") for _ in range(3)]
    for watcher in watchers:
        await watcher.connect()
        await watcher.received("state")
    monkeypatch.setattr("webapp.jobs.feed.STATE_EVERY_S", 1.0)
    asked, told = [], queries.job_json
    monkeypatch.setattr(queries, "job_json", lambda job: asked.append(job) or told(job))
    await asyncio.sleep(1.1)
    await sync_to_async(emit)(held, "four")
    for watcher in watchers:
        (message,) = await watcher.received("state")
        assert message["job"]["last_seq"] == 4
    assert len(asked) == 1
    for watcher in watchers:
        await watcher.leave()


async def test_two_pages_of_a_job_read_its_log_once(job, held, monkeypatch):
    asked, read = [], queries.events_after
    monkeypatch.setattr(queries, "events_after", lambda *a: asked.append(a) or read(*a))
    watchers = [Watcher(f"/ws/jobs/{job.id}/") for _ in range(2)]
    for watcher in watchers:
        await watcher.connect()
        assert await watcher.numbers(3) == [1, 2, 3]
    await sync_to_async(emit)(held, "four")
    for watcher in watchers:
        assert await watcher.numbers(1) == [4]
    assert len(asked) == 1
    for watcher in watchers:
        await watcher.leave()


async def test_page_that_stays_hears_on_when_another_leaves(job, held):
    first, second = (Watcher(f"/ws/jobs/{job.id}/?after=3") for _ in range(2))
    for watcher in (first, second):
        await watcher.connect()
        await watcher.received("state")
    await first.leave()
    await sync_to_async(emit)(held, "four")
    assert await second.numbers(1) == [4]
    await second.leave()
    assert group(job.id) not in get_channel_layer().groups


async def test_notices_that_overtake_each_other_lose_nothing(job, held, monkeypatch):
    watcher = Watcher(f"/ws/jobs/{job.id}/?after=3")
    await watcher.connect()
    await watcher.received("state")
    late = []
    with monkeypatch.context() as patch:
        patch.setattr("webapp.jobs.events.nudge", lambda *notice: late.append(notice))
        await sync_to_async(emit)(held, "four")
    await sync_to_async(emit)(held, "five")
    assert await watcher.numbers(2) == [4, 5]
    await sync_to_async(nudge)(*late[0])
    await sync_to_async(emit)(held, "six")
    assert await watcher.numbers(1) == [6]
    await watcher.leave()


async def test_many_events_at_once_arrive_all(job, held):
    watcher = Watcher(f"/ws/jobs/{job.id}/?after=3")
    await watcher.connect()
    await sync_to_async(emit)(held, *[str(n) for n in range(200)])
    assert await watcher.numbers(200) == list(range(4, 204))
    await watcher.leave()


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"localhost:8000"), (b"origin", b"http://evil.example")],
        [(b"host", b"localhost:8000"), (b"origin", b"http://localhost:3000")],
        [(b"host", b"evil.example"), (b"origin", b"http://evil.example")],
        [(b"host", b"localhost:8000")],
        [*OURS, (b"x-forwarded-for", b"192.168.1.7")],
        [*OURS, (b"via", b"1.1 proxy")],
    ],
)
async def test_other_sites_and_proxies_may_not_listen(job, headers):
    assert not await Watcher(f"/ws/jobs/{job.id}/", headers).connect()


async def test_other_machines_may_not_listen(job):
    assert not await Watcher(f"/ws/jobs/{job.id}/", peer="192.168.1.7").connect()


@pytest.mark.parametrize("kind", ["jobs", "projects"])
async def test_stranger_is_sent_away(stranger, user, kind):
    theirs = await sync_to_async(making.project)(stranger)
    key = theirs.id if kind == "projects" else theirs.study.job.id
    watcher = Watcher(f"/ws/{kind}/{key}/")
    await watcher.connect()
    assert (await watcher.receive_output())["code"] == 4404


async def test_studio_learns_that_its_study_moves(user, held, job):
    project = await sync_to_async(lambda: Job.objects.get(pk=job.pk).project)()
    studio = Watcher(f"/ws/projects/{project.id}/")
    await studio.connect()
    (first,) = await studio.received("study")
    assert first["state"] == "running"
    await sync_to_async(held.finish)("failed", message="No.")
    await sync_to_async(nudge)(job.id)
    (then,) = await studio.received("study")
    assert (then["state"], then["message"]) == ("failed", "No.")
    await studio.leave()


async def test_goals_before_the_search_are_answered_with_a_sentence(user, job):
    project = await sync_to_async(lambda: Job.objects.get(pk=job.pk).project)()
    studio = Watcher(f"/ws/projects/{project.id}/")
    await studio.connect()
    await studio.send({"kind": "goals", "n": 7, "goals": {"latency": 1}})
    (refusal,) = await studio.received("refusal")
    assert refusal["n"] == 7
    assert "Still studying this model" in refusal["message"]
    await studio.leave()


@pytest.fixture
def real_broker(home, settings):
    path = home / "broker.sock"
    words = ["--port", "0", "--unixsocket", str(path), "--save", ""]
    with subprocess.Popen(
        [broker.program(), *words], cwd=home, stdout=subprocess.DEVNULL
    ) as server:
        wait_for(path.exists, 10)
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "webapp.channellayer.ChannelLayer",
                "CONFIG": {"hosts": [{"address": f"unix://{path}", "socket_timeout": 30}]},
            }
        }
        yield server
        server.terminate()


async def test_pages_that_are_gone_leave_nothing_behind(job, held, real_broker):
    layer = get_channel_layer()
    watchers = [Watcher(f"/ws/jobs/{job.id}/?after=3") for _ in range(5)]
    for _ in range(2):
        for watcher in watchers:
            assert await watcher.connect()
            await watcher.received("state")
        assert layer.receive_buffer
        for watcher in watchers:
            await watcher.leave()
        watchers = [Watcher(f"/ws/jobs/{job.id}/?after=3") for _ in range(5)]
    assert dict(layer.receive_buffer) == {}
    await layer.close_pools()


async def test_late_messages_for_pages_that_are_gone_leave_nothing_behind(
    user, job, held, real_broker
):
    layer = get_channel_layer()
    staying = Watcher(f"/ws/jobs/{job.id}/?after=3")
    assert await staying.connect()
    gone = [await layer.new_channel() for _ in range(300)]
    for channel in gone:
        await layer.group_add("late", channel)
        forget(channel)
    await layer.group_send("late", {"type": "any.thing"})
    await layer.group_send(sockets_of(user.pk), {"type": "account.left"})
    while (await staying.receive_output(20))["type"] != "websocket.close":
        pass
    assert not set(gone) & set(layer.receive_buffer)
    await layer.close_pools()


async def test_feed_leaves_nothing_behind_when_the_broker_is_gone(job, held, real_broker):
    layer = get_channel_layer()

    async def watch():
        async with watching(job.id):
            await asyncio.sleep(0.1)
            assert layer.receive_buffer
            real_broker.kill()
            real_broker.wait()

    with pytest.raises(RedisError):
        await watch()
    assert dict(layer.receive_buffer) == {}
