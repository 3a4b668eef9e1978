"""A device's agent comes, is seen, and goes; its token opens nothing but its own endpoints."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from webapp.accounts.hashing import new_secret, sha256_of
from webapp.agents.archive import agent_version
from webapp.agents.lease import give_up, take_back
from webapp.agents.models import Agent, DeviceTask, TaskState
from webapp.devices.agent.protocol import PROTOCOL
from webapp.devices.models import Means
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from webapp.agents.results import Introduction
    from webapp.devices.models import OwnDevice

PREFIX = "adadeep_device_"
SEEN_EVERY_S = 5.0
STARTED_ANEW = "The agent was started anew while it measured."
WENT_AWAY = "The agent was stopped while it measured."


def agent_connect(*, device: OwnDevice) -> str:
    """A token for the device's agent, shown once; an earlier one ends.

    Raises:
        RequestRefusedError: the device is measured by other means, whose times are not an agent's.
    """
    if device.means != Means.AGENT:
        raise RequestRefusedError(
            f"{device.title} is measured by {device.means}; an agent's times are another runtime's. "
            "Add a device of its own for the agent.",
            status=409,
        )
    token = PREFIX + new_secret()
    Agent.objects.update_or_create(
        device=device, defaults={"sha256": sha256_of(token), "session": "", "seen": None}
    )
    return token


def agent_disconnect(*, device: OwnDevice) -> None:
    """End the token; what waits for the agent is given up."""
    Agent.objects.filter(device=device).delete()
    give_up(DeviceTask.objects.filter(device=device), "The device was disconnected.")


def agent_of(token: str) -> Agent | None:
    """Whose token it is; ``None`` when it is none of ours, or has ended."""
    found = Agent.objects.select_related("device").filter(sha256=sha256_of(token))
    return found.filter(device__owner__is_active=True).first()


def agent_hello(*, agent: Agent, said: Introduction, download: str) -> str:
    """The session of an agent that has just started. What an earlier run held goes back.

    Raises:
        RequestRefusedError: when it is not the agent that this server works with.
    """
    if (said.protocol, said.version) != (PROTOCOL, agent_version()):
        raise outdated(said.version, download)
    session = secrets.token_hex(16)
    Agent.objects.filter(pk=agent.pk).update(
        session=session, version=said.version, facts=said.model_dump(), seen=timezone.now()
    )
    _give_back(agent, STARTED_ANEW)
    return session


def outdated(version: str, download: str) -> RequestRefusedError:
    """The refusal of an agent that is not the one that this server hands out."""
    return RequestRefusedError(
        f"This agent ({version or 'unknown'}) is not the one that this server works with "
        f"({agent_version()}). Download it again: curl -fO {download}",
        code="agent_outdated",
        status=426,
    )


def agent_goodbye(*, agent: Agent) -> None:
    """The agent stops in good order."""
    Agent.objects.filter(pk=agent.pk).update(session="", seen=None)
    _give_back(agent, WENT_AWAY, counts=False)


def agent_seen(*, agent: Agent) -> None:
    """Note that the agent asked; not at every question, for each note is a write."""
    now = timezone.now()
    if agent.seen is None or agent.seen < now - timedelta(seconds=SEEN_EVERY_S):
        Agent.objects.filter(pk=agent.pk).update(seen=now)


def is_online(agent: Agent) -> bool:
    """Whether the agent asked for work or sent a sign of life lately: as long as it would keep its task."""
    since = timezone.now() - timedelta(seconds=settings.LEASE_LOST_S)
    return agent.seen is not None and agent.seen > since


def _give_back(agent: Agent, reason: str, *, counts: bool = True) -> None:
    for task in DeviceTask.objects.filter(device=agent.device_id, state=TaskState.LEASED):
        take_back(task, reason, counts=counts)
