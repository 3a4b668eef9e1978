"""Is everything there that AdaDeep needs? Each check is a function; the doctor runs them in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webapp.supervision.check_files import files
from webapp.supervision.check_hosts import machines, store
from webapp.supervision.check_machine import clock, data_folder, free_space, packages, python
from webapp.supervision.check_parts import (
    broker,
    database,
    engine,
    exposure,
    extras,
    port,
    sandbox,
)
from webapp.supervision.findings import Finding, Grade, wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["CHECKS", "Finding", "Grade", "checkup"]

CHECKS: tuple[Callable[[], Iterable[Finding]], ...] = (
    python,
    packages,
    data_folder,
    free_space,
    clock,
    exposure,
    port,
    database,
    broker,
    store,
    files,
    machines,
    sandbox,
    engine,
    extras,
)


def checkup(checks: Iterable[Callable[[], Iterable[Finding]]] = CHECKS) -> Iterator[Finding]:
    """What each check finds; one that breaks is itself a finding, and the others go on."""
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - a doctor must not die of the disease
            name = check.__name__.replace("_", " ").capitalize()
            yield wrong(f"{name}: {error}", "This is more than the doctor knows about.")
