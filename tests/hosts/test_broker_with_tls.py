"""REDIS_URL with a password and TLS, as redis, Celery and Channels read it."""

import asyncio
import contextlib
import ssl
import threading

import pytest
import redis
from celery import Celery
from channels_redis.core import RedisChannelLayer

from tests.hosts.machines import PASSWORD, broker
from tests.webapp.test_https import OPENSSL, certificate  # noqa: F401 - a fixture
from webapp.addresses import celery_broker

pytestmark = pytest.mark.skipif(not OPENSSL, reason="openssl is missing on this machine")


@pytest.fixture
def url(tmp_path, certificate):  # noqa: F811
    """A broker behind TLS: the one that comes along speaks none by itself."""
    with broker(tmp_path, "127.0.0.1") as plain, tls_door(certificate, port_of(plain)) as port:
        yield f"rediss://:{PASSWORD}@localhost:{port}/0?ssl_ca_certs={certificate}"


def port_of(url):
    return int(url.rpartition(":")[2].partition("/")[0])


@contextlib.contextmanager
def tls_door(pem, target):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, pem.with_name("key"))
    loop = asyncio.new_event_loop()

    async def welcome(reader, writer):
        there = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer))

    async def pass_on(reader, writer):
        with contextlib.suppress(OSError):
            while content := await reader.read(65536):
                writer.write(content)
                await writer.drain()
        writer.close()

    serving = asyncio.start_server(welcome, "127.0.0.1", 0, ssl=context)
    server = loop.run_until_complete(serving)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_all_that_talk_to_the_broker_do_so_by_tls(url):
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    app = Celery(broker=celery_broker(url), backend=celery_broker(url))
    with app.connection() as connection:
        connection.ensure_connection(max_retries=1)
        with connection.SimpleQueue("letters") as letters:
            letters.put("hello")
            assert letters.get(timeout=5).payload == "hello"
    assert app.backend.client.ping()


async def test_news_for_pages_travel_by_tls(url):
    layer = RedisChannelLayer(hosts=[{"address": url, "socket_timeout": 30}])
    name = await layer.new_channel()
    await layer.group_add("pages", name)
    await layer.group_send("pages", {"type": "news"})
    assert await layer.receive(name) == {"type": "news"}
    await layer.flush()


def test_broker_with_a_strange_certificate_is_not_believed(url):
    stranger = url.partition("?")[0]
    with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
        redis.Redis.from_url(stranger).ping()
    with pytest.raises(Exception, match="certificate verify failed"):
        Celery(broker=celery_broker(stranger)).connection().ensure_connection(max_retries=1)
