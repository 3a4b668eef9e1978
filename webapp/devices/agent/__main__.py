"""The command line: ``python adadeep-agent.pyz --server http://… --token …``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import Any, NoReturn
from urllib.parse import urlsplit

from webapp.devices.agent.machine import introduction, missing_libraries
from webapp.devices.agent.server import (
    WAIT_FOR_WORK_S,
    RefusedError,
    Server,
    UnreachableError,
)
from webapp.devices.agent.work import Task, TaskGoneError, do_task

TOKEN = "ADADEEP_AGENT_TOKEN"  # noqa: S105 - a variable's name

logger = logging.getLogger("adadeep-agent")


def main(arguments: list[str] | None = None) -> int:
    """Serve one server until it says no, or Ctrl-C; 0 after Ctrl-C, 2 when refused."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level="INFO")
    said = _parser().parse_args(arguments)
    complaint = _complaint(said)
    if complaint:
        logger.error(complaint)
        return 2
    if urlsplit(said.server).scheme == "http" and not _is_this_machine(said.server):
        logger.warning(
            "Plain http: others in this network can read the token. Use https where you can."
        )
    server = Server(said.server, said.token)
    try:
        return serve(server)
    except RefusedError as error:
        logger.error("%s", error)  # noqa: TRY400 - a sentence, not a fault
        return 2
    except KeyboardInterrupt:
        _say_goodbye(server)
        return 0


def serve(server: Server) -> NoReturn:
    """Introduce ourselves, then work off what there is, for ever.

    Raises:
        RefusedError: the server does not want this agent.
    """
    hello = server.ask("/hello", introduction())
    server.session = hello["session"]
    logger.info("Connected as %s. Ctrl-C ends it.", hello["device"])
    while True:
        answer = server.ask("/next", {}, timeout_s=WAIT_FOR_WORK_S)
        if answer.get("task"):
            _work_on(server, _task(answer["task"]))


def _work_on(server: Server, task: Task) -> None:
    logger.info("Measuring %d graphs (%s).", len(task.graphs), task.kind)
    try:
        do_task(server, task)
    except (TaskGoneError, UnreachableError) as error:
        logger.warning("%s What was measured is dropped.", error)
    else:
        logger.info("Done.")


def _task(value: dict[str, Any]) -> Task:
    return Task(
        **{name: value[name] for name in Task._fields if name not in ("graphs", "powered")},
        graphs=tuple(value["graphs"]),
        powered=tuple(value["powered"]),
    )


def _complaint(said: argparse.Namespace) -> str:
    if urlsplit(said.server).scheme not in ("http", "https"):
        return "The server's address begins with http:// or https://."
    if not said.token:
        return f"The device's page shows the token once: pass it as --token, or in {TOKEN}."
    missing = missing_libraries()
    return (
        f"Install first: {sys.executable} -m pip install {' '.join(missing)}" if missing else ""
    )


def _is_this_machine(server: str) -> bool:
    return urlsplit(server).hostname in ("localhost", "127.0.0.1", "::1")


def _say_goodbye(server: Server) -> None:
    try:
        server.ask("/goodbye", {}, patience_s=0)
    except (RefusedError, UnreachableError) as error:
        logger.info("%s The server will notice by itself.", error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="adadeep-agent", description="Measures networks on this device for AdaDeep."
    )
    parser.add_argument("--server", required=True, help="address of AdaDeep, as in the browser")
    parser.add_argument(
        "--token", default=os.environ.get(TOKEN, ""), help="from the device's page"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
