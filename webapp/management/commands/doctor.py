import sys
from typing import Any

from django.core.management.base import BaseCommand

from webapp.supervision.checkup import Grade, checkup

MARKS = {Grade.OK: "ok   ", Grade.NOTE: "note ", Grade.WRONG: "WRONG"}


class Command(BaseCommand):
    help = "Says what is wrong with this installation and how to mend it. Status 0: nothing is."
    requires_system_checks = ()
    requires_migrations_checks = False

    def handle(self, **_: Any) -> None:
        is_well = True
        for finding in checkup():
            self.stdout.write(f"{MARKS[finding.grade]} {finding.what}")
            if finding.how:
                self.stdout.write(f"      {finding.how}")
            self.stdout.flush()
            is_well = is_well and finding.grade != Grade.WRONG
        self.stdout.write("Nothing is wrong." if is_well else "See WRONG above.")
        sys.exit(0 if is_well else 1)
