import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.supervision.crew import StartError
from webapp.supervision.instance import AlreadyRunningError, single_instance
from webapp.supervision.worker_host import TAGS, WorkerHost


class Command(BaseCommand):
    help = "Works on jobs of an installation that runs on another machine. Ctrl-C stops it."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queues", default="cpu", help=f"of {','.join(TAGS)}; default cpu")
        parser.add_argument("--processes", type=int, default=1, help="engine jobs at a time")

    def handle(self, **options: Any) -> None:
        tags = [tag.strip() for tag in options["queues"].split(",") if tag.strip()]
        if not tags or set(tags) - set(TAGS):
            raise CommandError(
                f"--queues takes some of {', '.join(TAGS)}, with commas between."
            )
        host = WorkerHost(tags=tags, processes=max(1, options["processes"]))
        try:
            with single_instance(settings.ADADEEP_HOME / "run", f"worker for {','.join(tags)}"):
                self._run(host)
        except (AlreadyRunningError, StartError) as error:
            raise CommandError(str(error)) from error

    def _run(self, host: WorkerHost) -> None:
        def stop(*_: Any) -> None:
            host.stopping = True

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        try:
            host.start()
            self.stdout.write(f"READY for {', '.join(host.tags)}")
            self.stdout.flush()
            host.run()
        finally:
            host.stop()
