"""Tables as files: CSV that a spreadsheet opens without running what stands in it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from django.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Comma-separated text with a header line; a cell without a value is empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([list(map(_plain_cell, row)) for row in rows])
    return text.getvalue()


def csv_file(name: str, content: str) -> HttpResponse:
    response = HttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _plain_cell(value: object) -> object:
    """A text that a spreadsheet would run as a formula is kept from it."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@"))
    return f"'{value}" if is_formula else value
