import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_env_example_names_every_setting():
    settings = (ROOT / "webapp" / "settings.py").read_text()
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", settings))
    shown = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read == shown


def test_readme_names_only_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named <= targets


def test_package_files_hold_a_docstring_only():
    for package in ("webapp", "selector", "compression"):
        for path in (ROOT / package).rglob("__init__.py"):
            text = path.read_text().strip()
            assert text == "" or (text.startswith('"""') and text.endswith('"""')), path
