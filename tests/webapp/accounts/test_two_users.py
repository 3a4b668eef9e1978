"""Every route with the ids of somebody else. A new route is covered by itself, or fails until it is classified."""

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.utils import timezone

from compression.cost import load_device
from tests.webapp import making
from tests.webapp.routes import METHODS, ask, routes, socket_routes
from tests.webapp.sockets import OURS, Watcher
from webapp.accounts.models import Token
from webapp.accounts.tokens import token_create
from webapp.agents.connections import agent_connect
from webapp.agents.models import Agent, DeviceTask
from webapp.devices.agent.protocol import SESSION
from webapp.devices.models import OwnDevice
from webapp.devices.targets import profile_text
from webapp.jobs.sharing import share_create

pytestmark = pytest.mark.django_db

OWNED = (
    *("project_id", "job_id", "share_id", "transfer_id"),
    *("device_id", "task_id", "token_id", "user_id"),
)
"""Parameters that name something of one person's."""

MEANING = {
    "devices/<slug:name>/": {"name": "device"},
    "devices/<slug:name>/runs.json": {"name": "device"},
    "devices/<slug:name>/runs.csv": {"name": "device"},
    "devices/<slug:name>/kit.zip": {"name": "device"},
    "api/v1/devices/<name>": {"name": "device"},
    "api/v1/devices/<name>/evidence": {"name": "device"},
}
"""Where a parameter of a general name means something of one person's: its name in `theirs`."""

BODIES = {
    "api/v1/own-devices/<uuidstr:device_id>/measurements": '{"runs": []}',
    "api/v1/projects/<uuidstr:project_id>/browser-measurements": '{"runs": [], "title": "", "prior": "", "threads": 1}',
}
"""Where an empty object is refused before anybody looks whose it is."""

AGENTS = "api/agent/v1/"
"""Asked with the token of a device, which no session stands for: a test of its own."""

NOBODYS = {
    "devices/kit/<slug:name>.onnx": "the kit is the same for all",
    "api/v1/kit/<name>.onnx": "the kit is the same for all",
    "api/samples/<slug:name>/open": "samples are the same for all",
    "api/v1/samples/<name>/open": "samples are the same for all",
    "api/v1/uploads/<kind>": "model or data",
    "setup/<str:secret>/": "the secret is the right",
    "join/<str:secret>/": "the secret is the right",
    "shared/<str:token>/": "the signed token is the right",
    "shared/<str:token>/files/<str:name>": "the signed token is the right",
    "m/<str:token>": "the token is the right",
}
OPEN = {
    "login/": "the way in",
    "signup/": "the way in, when it is open",
    "setup/<str:secret>/": "the way in",
    "join/<str:secret>/": "the way in",
    "shared/<str:token>/": "for readers without an account",
    "shared/<str:token>/files/<str:name>": "for readers without an account",
    "m/<str:token>": "a phone's way to one page",
    "healthz": "asked by the supervisor",
    "readyz": "asked by a load balancer",
    "devices/agent/adadeep-agent.pyz": "a device without a browser fetches it; it holds no secret",
    "api/v1/openapi.json": "the same in every installation",
    "api/v1/": "nothing is there",
    "api/agent/v1/": "nothing is there",
    "api/v1/docs": "the same in every installation",
}
FOR_AGENTS = [route for route in routes() if str(route).startswith(AGENTS)]
ALL = [route for route in routes() if route not in FOR_AGENTS]
WITH_IDS = [
    route for route in ALL if set(route.parameters) & set(OWNED) or str(route) in MEANING
]


@pytest.fixture
def theirs(admin, work_off):
    """What somebody else has, by the names that routes give it."""
    build = making.build(admin)
    work_off()
    build.refresh_from_db()
    token_create(owner=admin, name="theirs")
    device = device_of(admin)
    task = DeviceTask.objects.create(device=device, kind="calibrate", deadline=timezone.now())
    return {
        "project_id": build.project_id,
        "job_id": build.id,
        "share_id": share_create(job=build, days=1, with_files=True).pk,
        "transfer_id": making.begun(admin).pk,
        "device_id": device.pk,
        "task_id": task.pk,
        "token_id": Token.objects.get().pk,
        "user_id": admin.pk,
        "name": build.artifacts.get(primary=True).name,
        "model": build.project.model_id,
        "data": build.project.data_id,
        "device": device.key,
    }


def device_of(owner):
    profile = profile_text(load_device("rpi4"))
    return OwnDevice.objects.create(
        owner=owner, title="Board", prior="rpi4", means="agent", profile=profile
    )


def their_path(route, theirs):
    meaning = MEANING.get(str(route), {})
    return route.path(theirs | {name: theirs[key] for name, key in meaning.items()})


def test_every_parameter_is_classified():
    unknown = [str(route) for route in ALL if route.parameters and route not in WITH_IDS]
    assert sorted(unknown) == sorted(NOBODYS), (
        "A new route has a parameter. If it names something that belongs to one person, add the parameter to "
        "OWNED (or the route to MEANING) and an example to `theirs`; if it belongs to nobody, add the route to NOBODYS with the reason."
    )


def test_ids_of_somebody_else_are_not_found(theirs, member, browser_of):
    browser, statuses = browser_of(member), {}
    for route in WITH_IDS:
        path, body = their_path(route, theirs), BODIES.get(str(route), "{}")
        statuses[str(route)] = {
            ask(browser, method, path, body).status_code for method in METHODS
        } - {405}
    assert not {route: found for route, found in statuses.items() if found != {404}}


def test_the_same_ids_are_found_by_their_owner(theirs, admin, browser_of):
    """Else the test above would prove nothing."""
    browser = browser_of(admin)
    for route in WITH_IDS:
        statuses = [
            ask(browser, method, their_path(route, theirs)).status_code
            for method in ("GET", "POST")
        ]
        is_known = not set(statuses) & {403, 404}
        assert is_known or str(route).endswith(
            ("result/", "networks/<str:name>", "networks/<name>")
        ), (
            str(route),
            statuses,
        )


@pytest.mark.parametrize("route", [r for r in FOR_AGENTS if r.parameters], ids=str)
def test_agent_learns_nothing_of_tasks_of_somebody_else(route, theirs, member):
    token = agent_connect(device=device_of(member))
    Agent.objects.update(session="s")
    board = Client(
        headers={"host": "localhost", "authorization": f"Bearer {token}", SESSION: "s"}
    )
    answers = []
    for task_id in (theirs["task_id"], "00000000-0000-0000-0000-000000000000"):
        path = route.path({"task_id": task_id, "attempt": 1, "number": 0})
        answers.append([ask(board, method, path) for method in METHODS])
    for of_theirs, of_nothing in zip(*answers, strict=True):
        assert of_theirs.status_code == of_nothing.status_code >= 400
        assert of_theirs.content == of_nothing.content


def test_build_of_somebody_else_is_not_compared(theirs, member, admin, browser_of):
    path = f"/compare/?a={theirs['job_id']}"
    assert browser_of(member).get(path).status_code == 404
    assert browser_of(admin).get(path).status_code != 404


@pytest.mark.parametrize("kind", ["model", "data"])
@pytest.mark.parametrize("path", ["/api/projects", "/api/v1/projects"])
def test_uploads_of_somebody_else_make_no_project(path, kind, theirs, member, browser_of):
    own = making.project(member)
    ids = {"model": str(own.model_id), "data": str(own.data_id), kind: str(theirs[kind])}
    answer = browser_of(member).post(path, ids, content_type="application/json")
    assert answer.status_code == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("route", socket_routes(), ids=str)
async def test_sockets_of_somebody_else_are_not_found(route, theirs, member, browser_of):
    assert set(route.parameters) <= set(OWNED), "Say whose this socket is."
    browser = await sync_to_async(browser_of)(member)
    cookie = f"sessionid={browser.cookies['sessionid'].value}".encode()
    watcher = Watcher(route.path(theirs), [*OURS, (b"cookie", cookie)])
    await watcher.connect()
    assert (await watcher.receive_output())["code"] == 4404


@pytest.mark.parametrize("route", [r for r in routes() if str(r) not in OPEN], ids=str)
def test_nothing_is_answered_before_signing_in(route, visitor):
    example = dict.fromkeys(route.parameters, "model")
    example |= dict.fromkeys(set(OWNED) & set(example), "00000000-0000-0000-0000-000000000000")
    example |= dict.fromkeys(("token_id", "user_id", "attempt", "number"), 1)
    for method in METHODS:
        answer = ask(visitor, method, route.path(example))
        to_login = answer.status_code == 302 and answer["Location"].startswith("/login/")
        assert to_login or answer.status_code in (401, 405), (method, answer.status_code)


def test_lists_hold_nothing_of_somebody_else(theirs, member, browser_of):
    browser = browser_of(member)
    for path in ("/api/projects", "/api/v1/projects"):
        assert browser.get(path).json() == {"projects": []}
    assert str(theirs["project_id"]) not in browser.get("/").content.decode()


def test_reader_without_an_account_sees_what_was_shared_and_nothing_else(
    theirs, admin, browser_of, visitor
):
    shares = browser_of(admin).get(f"/api/jobs/{theirs['job_id']}/shares").json()
    assert shares["note"] == ""
    (share,) = shares["shares"]
    assert visitor.get(share["url"]).status_code == 200
    assert visitor.get(f"{share['url']}files/{theirs['name']}").status_code == 200
    assert visitor.get(f"/jobs/{theirs['job_id']}/result/").status_code == 302
