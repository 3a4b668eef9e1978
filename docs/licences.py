"""Writes docs/licences.md: what AdaDeep is made of and under which licences, as the installed packages say.

``python docs/licences.py`` after a change of the lock files, with everything installed (``make setup-dev``).
"""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "licences.md"
LONGEST = 80

HEAD = """# Licences

AdaDeep itself is under Apache-2.0. This is what it is made of; `python docs/licences.py` wrote it from the lock files and from what the
installed packages say of themselves.

The browser gets Plotly.js from `static/vendor` (MIT) and, where a browser is measured, ONNX Runtime Web, which `make setup` fetches (MIT). PyTorch's
wheel for NVIDIA cards brings NVIDIA's libraries (`requirements-cuda.lock`), which have licences of NVIDIA's own. The converters to
other formats have environments of their own and are not listed.
"""

OTHER_SYSTEMS = re.compile("'(win32|emscripten)'")

UNSAID = {
    "async-timeout": "Apache-2.0",  # for the first releases of Python 3.11 alone
    "autograd": "MIT",
    "graphemeu": "MIT",
    "axe-playwright-python": "MIT, with axe-core: MPL-2.0",
}
"""What the packages' metadata leaves out and their files say."""


def main() -> None:
    """Write the page anew."""
    product, everything = pinned("requirements.lock"), pinned("requirements-dev.lock")
    checks = {name: text for name, text in everything.items() if name not in product}
    torch = pinned("requirements-torch.lock")
    parts = [HEAD, *_table("To run", torch | product), *_table("For checks and tests", checks)]
    TARGET.write_text("\n".join(parts) + "\n", encoding="utf-8")


def pinned(lock: str) -> dict[str, str]:
    """Name and version of each package of a lock file."""
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    ours = [line for line in lines if line[:1].isalnum() and not OTHER_SYSTEMS.search(line)]
    return dict(line.split()[0].split("==") for line in ours)


def _table(title: str, packages: dict[str, str]) -> list[str]:
    rows = [f"| {name} | {packages[name]} | {licence(name)} |" for name in sorted(packages)]
    return [f"## {title}\n", "| package | version | licence |", "|---|---|---|", *rows, ""]


def licence(name: str) -> str:
    """The licence in the package's own words: the expression, the classifier, or the first words of the text.

    Raises:
        SystemExit: when it says nothing.
    """
    if name in UNSAID:
        return UNSAID[name]
    try:
        said = metadata(name)
    except PackageNotFoundError as error:
        raise SystemExit(f"{name} is not installed here: make setup-dev") from error
    classes = [
        text.split(" :: ")[-1]
        for text in said.get_all("Classifier", [])
        if "License ::" in text
    ]
    text = (said.get("License") or "").strip()
    short = text if text and "\n" not in text and len(text) < LONGEST else ""
    found = said.get("License-Expression") or ", ".join(classes) or short
    if not found:
        raise SystemExit(f"{name} does not say its licence; look, and add it to UNSAID.")
    return str(found)


if __name__ == "__main__":
    main()
