"""Times that a person typed into the kit's table: read strictly, whatever the spreadsheet made of it."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

from webapp.devices.kit import kit_graphs
from webapp.devices.models import Means
from webapp.devices.networks import is_network
from webapp.devices.services import MOST_MEASUREMENTS, Run, runs_record
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webapp.devices.models import OwnDevice
    from webapp.devices.services import Outcome

HEADER = ("name", *(f"run {number} ms" for number in range(1, 11)))
MOST_FAULTS = 10
"""Shown at once; the rest follows when these are mended."""


class CellError(Exception):
    """What is wrong with a cell."""


def table_record(*, device: OwnDevice, text: str) -> Outcome:
    """Calibrate a device by the filled table.

    Raises:
        RequestRefusedError: for a device that is measured by other means, or naming the lines that cannot be read.
    """
    if device.means != Means.KIT:
        raise RequestRefusedError(
            f"{device.title} is measured by {device.means}, which is another runtime than the kit's. "
            "Add a device of its own for the kit.",
            status=409,
        )
    return runs_record(device=device, runs=parse_times(text), environment={"means": "table"})


def parse_times(text: str) -> list[Run]:
    """The runs of each row that was filled in; the first cell of a row is a name.

    Columns are parted by semicolons or tabs if any line has them, and commas are decimal commas then; else by
    commas, so that ``mobile,3,5`` is two runs. Rows without times, headers (``name``, on any line) and lines
    that begin with ``#`` are passed over.

    Raises:
        RequestRefusedError: with line and cell of everything that is wrong; then nothing is taken.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if len(lines) > MOST_MEASUREMENTS:
        raise RequestRefusedError(
            f"The file has {len(lines):,} lines; {MOST_MEASUREMENTS} are taken at once.",
            code="bad_times",
            status=422,
        )
    runs: dict[str, list[float]] = {}
    faults = []
    for number, cells in _rows(lines):
        try:
            name, times = cells[0], [_milliseconds(cell) for cell in cells[1:] if cell]
            if times:
                runs.setdefault(_known(name), []).extend(times)
        except CellError as fault:
            faults.append(f"line {number}: {fault}")
    if not runs and not faults:
        faults = ["no line holds a name and a time."]
    if faults:
        raise _refused(faults)
    return [Run(name, times) for name, times in runs.items()]


def blank_table(names: Sequence[str]) -> str:
    """The table to fill, a line for each name."""
    rows = [HEADER, *((name, *[""] * (len(HEADER) - 1)) for name in names)]
    return "".join(";".join(row) + "\n" for row in rows)


def _rows(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that may hold times.

    Raises:
        RequestRefusedError: for a line that cannot be parted into cells.
    """
    parted_by = next((mark for mark in ";\t" if any(mark in line for line in lines)), ",")
    for number, line in enumerate(lines, 1):
        row = csv.reader(io.StringIO(line), delimiter=parted_by, skipinitialspace=True)
        try:
            cells = [cell.strip() for cell in next(row, [])]
        except csv.Error as error:
            fault = f"line {number} is no line of a table: {error}."
            raise _refused([fault]) from error
        if not any(cells) or cells[0].lower() == HEADER[0] or cells[0].startswith("#"):
            continue
        yield number, [cells[0] or "(no name)", *cells[1:]]


def _known(name: str) -> str:
    if name in kit_graphs() or is_network(name):
        return name
    raise CellError(f"there is no graph {name[:60]!r} in the kit.")


def _milliseconds(cell: str) -> float:
    no_number = CellError(f"{cell[:40]!r} is no number.")
    if "_" in cell:  # Python would read 1_000 as a thousand
        raise no_number
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        raise no_number from None
    if not math.isfinite(value) or value <= 0:
        raise CellError(f"{cell[:40]} ms is no time; it must be above zero.")
    return value


def _refused(faults: Sequence[str]) -> RequestRefusedError:
    more = len(faults) - MOST_FAULTS
    rest = f"\nand {more} more." if more > 0 else ""
    text = "Nothing was taken from this file:\n" + "\n".join(faults[:MOST_FAULTS]) + rest
    return RequestRefusedError(text, code="bad_times", status=422)
