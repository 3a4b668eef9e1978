import signal
import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.loopback import is_loopback
from webapp.supervision import health
from webapp.supervision.broker import NoBrokerError
from webapp.supervision.instance import AlreadyRunningError, single_instance
from webapp.supervision.supervisor import StartError, Supervisor

DEFAULT_PORT = 8000


class Command(BaseCommand):
    help = "Starts everything: broker, database, workers and the web server. Ctrl-C stops it."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="start, prove health, stop")
        parser.add_argument("--port", type=int, help=f"default {DEFAULT_PORT}")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--workers", type=int, default=1, help="engine jobs at a time")

    def handle(self, **options: Any) -> None:
        host, port = options["host"], _port(options)
        if not is_loopback(host):
            raise CommandError(
                f"AdaDeep has no accounts yet, so it answers this machine only and not {host}. "
                "Start it with --host 127.0.0.1."
            )
        if not _is_free(host, port):
            raise CommandError(
                f"Port {port} is taken. Choose another: manage.py up --port {port + 1}"
            )
        supervisor = Supervisor(host=host, port=port, engine_workers=max(1, options["workers"]))
        try:
            with single_instance(settings.ADADEEP_HOME / "run", f"http://{host}:{port}"):
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
            self.stdout.write(f"READY http://{supervisor.host}:{supervisor.port}")
            self.stdout.flush()
            if is_check:
                health.prove(supervisor.host, supervisor.port)
                self.stdout.write("Everything answers.")
            else:
                supervisor.run()
        finally:
            supervisor.stop()


def _port(options: dict[str, Any]) -> int:
    """The wanted port; a check takes a free one, since it serves nobody."""
    if options["port"] is not None:
        return int(options["port"])
    if not options["check"]:
        return DEFAULT_PORT
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
