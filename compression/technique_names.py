"""What techniques are called, for those who may not import one: a technique's file brings torch along."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "techniques"


@cache
def title_of(name: str) -> str:
    """The one name under which pages, reasons and reports speak of a technique.

    It is read from the technique's file, which stays its only source. A technique that is no more, in a
    report of an older version, goes by its key.
    """
    path = _FOLDER / f"{name}.py"
    if not name.isidentifier() or not path.is_file():
        return name.replace("_", " ")
    found = _titles(ast.parse(path.read_text(encoding="utf-8")))
    return found[0] if found else name.replace("_", " ")


def titles_of(names: str) -> str:
    """Of stacked techniques, joined by ``+`` as tiles and tables have them."""
    return " + ".join(map(title_of, names.split("+")))


def _titles(module: ast.Module) -> list[str]:
    """What the classes of a file say of their title, alone or among other values."""
    found: list[str] = []
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            for statement in node.body:
                if isinstance(statement, ast.Assign):
                    found += _title(statement.targets[0], statement.value)
    return found


def _title(target: ast.expr, value: ast.expr) -> list[str]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = zip(target.elts, value.elts, strict=True)
        return [title for pair in pairs for title in _title(*pair)]
    is_title = isinstance(target, ast.Name) and target.id == "title"
    if not is_title or not isinstance(value, ast.Constant):
        return []
    return [str(value.value)]
