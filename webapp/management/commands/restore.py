from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.supervision.backup import BackupError, backup_restore
from webapp.supervision.instance import AlreadyRunningError, single_instance


class Command(BaseCommand):
    help = (
        "Puts a backup into an empty data folder (ADADEEP_HOME). Then start AdaDeep as always."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="what manage.py backup wrote")

    def handle(self, **options: Any) -> None:
        home: Path = settings.ADADEEP_HOME
        try:
            with single_instance(home / "run", "restoring a backup"):
                backup_restore(options["file"], home)
        except (AlreadyRunningError, BackupError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{home} is as it was. Start AdaDeep: make run")
