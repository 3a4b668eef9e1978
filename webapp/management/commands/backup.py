from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.supervision.backup import BackupError, backup_write


class Command(BaseCommand):
    help = "Saves everything of this installation in one file, while it runs. It holds secrets: keep it safe."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="such as adadeep.tar, or adadeep.tar.gz")

    def handle(self, **options: Any) -> None:
        target: Path = options["file"]
        try:
            size_bytes = backup_write(settings.ADADEEP_HOME, target)
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{target}: {size_bytes / 1e6:.1f} MB")
        for setting, how in (
            ("DATABASE_URL", "the database is not in it; save it by pg_dump just before"),
            ("STORAGE_URL", "files in the store are not in it; copy the bucket or folder"),
        ):
            if getattr(settings, setting):
                self.stdout.write(f"{setting} is set: {how}.")
