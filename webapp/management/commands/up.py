import signal
import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from webapp.accounts.invitations import setup_create
from webapp.accounts.loopback import is_loopback
from webapp.supervision import health
from webapp.supervision.addresses import from_here, is_free, listening, public_url
from webapp.supervision.broker import NoBrokerError
from webapp.supervision.instance import AlreadyRunningError, single_instance
from webapp.supervision.supervisor import StartError, Supervisor
from webapp.supervision.worker_host import check_settings

DEFAULT_PORT = 8000


class Command(BaseCommand):
    help = "Starts everything: broker, database, workers and the web server. Ctrl-C stops it."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="start, prove health, stop")
        parser.add_argument("--port", type=int, help=f"default {DEFAULT_PORT}")
        parser.add_argument(
            "--host", default="127.0.0.1", help="0.0.0.0: every network card; needs accounts"
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=1,
            help="engine jobs at a time; 0: other machines do all of them",
        )
        parser.add_argument(
            "--web-processes", type=int, default=1, help="processes that answer browsers"
        )

    def handle(self, **options: Any) -> None:
        host, port = options["host"], _port(options)
        if settings.AUTH_MODE == "local":
            _refuse_others(host)
        if options["workers"] < 1:
            _refuse_idleness()
        if not is_free(host, port):
            raise CommandError(
                f"Port {port} is taken. Choose another: manage.py up --port {port + 1}"
            )
        try:
            with (
                single_instance(settings.ADADEEP_HOME / "run", public_url(host, port)),
                listening(host, port) as listener,
            ):
                supervisor = Supervisor(
                    host=host,
                    port=port,
                    listener=listener,
                    engine_workers=max(0, options["workers"]),
                    web_processes=max(1, options["web_processes"]),
                )
                self._run(supervisor, is_check=options["check"])
        except (AlreadyRunningError, NoBrokerError, StartError, health.UnhealthyError) as error:
            raise CommandError(str(error)) from error

    def _run(self, supervisor: Supervisor, *, is_check: bool) -> None:
        def stop(*_: Any) -> None:
            supervisor.stopping = True

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        try:
            supervisor.start()
            self._say_ready(public_url(supervisor.host, supervisor.port))
            if is_check:
                health.prove(from_here(supervisor.host), supervisor.port)
                self.stdout.write("Everything answers.")
            else:
                supervisor.run()
        finally:
            supervisor.stop()

    def _say_ready(self, url: str) -> None:
        lines = [f"READY {url}"]
        if secret := setup_create():
            # Cookies for HTTPS only would not come back from the plain address.
            site = f"https://{settings.ALLOWED_HOSTS[0]}" if settings.BEHIND_HTTPS else url
            link = site + reverse("setup", args=[secret])
            lines.append(f"Nobody has an account yet. Make the first one here: {link}")
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def _refuse_others(host: str) -> None:
    """Without accounts whoever reaches the server is its owner, so only this machine may."""
    if not host or not is_loopback(host):
        raise CommandError(
            f"Without accounts AdaDeep answers this machine only, not {host}. Set "
            "AUTH_MODE=accounts, so that people sign in, or leave --host out."
        )
    if settings.BEHIND_HTTPS:
        raise CommandError(
            "BEHIND_HTTPS is for a server that others reach. Set AUTH_MODE=accounts as well."
        )


def _refuse_idleness() -> None:
    """Without workers here there must be what others come by."""
    try:
        check_settings()
    except StartError as error:
        raise CommandError(f"Nobody would work with --workers 0. {error}") from error


def _port(options: dict[str, Any]) -> int:
    """The wanted port; a check takes a free one, since it serves nobody."""
    if options["port"] is not None:
        return int(options["port"])
    if not options["check"]:
        return DEFAULT_PORT
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
