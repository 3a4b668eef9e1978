"""The commands and the code in README and docs do what they say, in a folder that looks like a clone.

docs/api.md needs the running product: its commands are run by tests/webapp/api/test_docs.py. The proxies that
docs/https.md names are started by tests/webapp/test_https.py.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from compression.device_profiles import DEVICES, read_profile

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    name: (ROOT / name).read_text()
    for name in (
        *("README.md", "SECURITY.md", "docs/tutorial.md", "docs/adding.md"),
        *("docs/hosts.md", "docs/https.md"),
    )
}

# The first words of each block of commands, and what is done with it.
QUICK = {
    ".venv/bin/python manage.py create_token",
    ".venv/bin/python mine.py",
    ".venv/bin/pytest -q tests/compression/test_device_profiles.py",
}
SLOW = {
    ".venv/bin/python manage.py compress webapp/samples",
    ".venv/bin/python -m selector inspect",
    ".venv/bin/python manage.py compress mine.onnx",
    ".venv/bin/pytest -q tests/compression/test_other_formats.py",
}
NOT_RUN = {
    "git clone": "fetches and installs everything; whoever runs this test has done so",
    "make run TORCH_WHEEL": "installs PyTorch from an address that stands for the reader's own",
    "AUTH_MODE=accounts make run": "opens a server to the network and does not end; tests of accounts start one",
    "make check": "runs this test",
    "make run  ": "tests/hosts/test_commands_of_docs.py runs these, between machines",
    "set -a; . ./.env": "the same",
    ".venv/bin/python -m benchmarks.devices.fit": "rewrites the catalogue; needs tables that are not in the repository",
}


def blocks(page, language):
    """Fenced blocks, those inside lists without their indent."""
    found = re.findall(
        rf"^( *)```{language}\n(.*?)^ *```", PAGES[page], re.DOTALL | re.MULTILINE
    )
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


SETTING = r"[A-Z]+(?:_[A-Z]+)+"
SETTINGS = [
    pytest.param(text, id=page)
    for page in PAGES
    for text in blocks(page, "")
    if re.match(f"{SETTING}=", text)
]
COMMANDS = [text for page in PAGES for text in blocks(page, "sh")]


def chosen(starts):
    return [
        pytest.param(text, id=start)
        for start in sorted(starts)
        for text in COMMANDS
        if text.startswith(start)
    ]


def test_every_block_of_commands_is_run_or_says_why_not():
    known = (*QUICK, *SLOW, *NOT_RUN)
    unknown = [text for text in COMMANDS if not text.startswith(known)]
    assert not unknown, "put these into QUICK, SLOW or NOT_RUN above"
    assert [start for start in known if not any(t.startswith(start) for t in COMMANDS)] == []


@pytest.fixture
def clone(tmp_path):
    """Links to what a clone holds, so that new files land elsewhere; and the files that the pages show."""
    for entry in ROOT.iterdir():
        if not entry.name.startswith((".git", ".venv", ".adadeep")):
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (request,) = blocks("README.md", "json")
    (tmp_path / "request.json").write_text(request)
    (mine,) = (text for text in blocks("docs/tutorial.md", "python") if "mine.onnx" in text)
    (tmp_path / "mine.py").write_text(mine)
    return tmp_path


def run(folder, text):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**os.environ, "ADADEEP_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("text", chosen(QUICK))
def test_quick_commands_do_what_they_say(clone, text):
    if "create_token" in text:  # AdaDeep has run before, the page says
        run(clone, ".venv/bin/python manage.py migrate --verbosity 0")
    run(clone, text)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("text", chosen(SLOW))
def test_slow_commands_do_what_they_say(clone, text):
    if "mine.onnx" in text:
        run(clone, ".venv/bin/python mine.py")
    run(clone, text)


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_are_taken_as_they_stand_there(clone, text):
    (clone / ".env").write_text(text)
    run(clone, "set -a; . ./.env; set +a; .venv/bin/python manage.py check")


def code_of(text):
    """What stands in backticks or fences, line by line."""
    fenced = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in fenced for line in block.splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", text)


def options_of(command):
    parser = load_command_class(get_commands()[command], command).create_parser("", command)
    return set(re.findall(r"--[a-z-]+", parser.format_help()))


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_only_commands_and_options_that_exist(page):
    ours = [name for name, app in get_commands().items() if app.startswith("webapp")]
    every = set().union(*map(options_of, ours))
    makefile = (ROOT / "Makefile").read_text()
    targets = " ".join(re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)).split()
    for code in code_of(PAGES[page]):
        if found := re.search(r"manage\.py (\w+)(.*)", code):
            assert set(re.findall(r"--[a-z-]+", found[2])) <= options_of(found[1]), code
        elif code.startswith("--"):
            assert code.split()[0] in every, code
        elif found := re.fullmatch(r"make ([a-z-]+)( .*)?", code):
            assert found[1] in targets, code


@pytest.mark.parametrize("page", ["docs/hosts.md", "docs/https.md", "docs/nginx.conf"])
def test_pages_name_only_settings_that_exist(page):
    known = re.findall(SETTING, (ROOT / ".env.example").read_text())
    assert set(re.findall(SETTING, (ROOT / page).read_text())) <= set(known)


def test_example_of_a_device_is_read(tmp_path):
    (example,) = blocks("docs/adding.md", "toml")
    fitted = (DEVICES / "rpi4.toml").read_text().partition("\n[fit]")
    path = tmp_path / "my-board.toml"
    path.write_text(example + "".join(fitted[1:]))
    assert read_profile(path).title == tomllib.loads(example)["title"]


def test_pages_name_only_files_that_exist():
    for page, text in PAGES.items():
        folder = (ROOT / page).parent
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", text):
            assert (folder / target).exists(), f"{page} leads to {target}"


def test_pictures_stay_small():
    sizes = [path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()]
    assert 0 < sum(sizes) < 600_000
