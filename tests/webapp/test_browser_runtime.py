import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from django.conf import settings

from tests.webapp.fetching import fetched
from webapp import browserruntime

SCRIPT = Path(browserruntime.__file__)
VERSION = browserruntime.VERSION


def fetch(tmp_path, npm: str):
    """Runs the script with an npm that does what is said, in a shell."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "npm").write_text(f"#!/bin/sh\n{npm}\n")
    (programs / "npm").chmod(0o755)
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "runtime")],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def package(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_what_npm_refuses_is_told_in_one_line_with_what_to_do(tmp_path):
    done = fetch(tmp_path, "echo 'no such host' >&2; exit 7")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "npm ended with 7. no such host" in line
    assert line.endswith("make browser-runtime")
    assert not browserruntime.is_complete(tmp_path / "runtime")


def test_other_contents_than_expected_are_not_kept(tmp_path):
    names = dict.fromkeys(browserruntime.SHA256, b"something else")
    sent = package(tmp_path / "sent.tgz", **names)
    done = fetch(tmp_path, f'for last; do :; done; cp {sent} "$last/a.tgz"')
    assert done.returncode == 1
    assert "other contents than expected" in done.stderr
    assert not (tmp_path / "runtime").exists()


def test_a_package_without_the_files_is_refused(tmp_path):
    sent = package(tmp_path / "sent.tgz", readme=b"")
    done = fetch(tmp_path, f'for last; do :; done; cp {sent} "$last/a.tgz"')
    assert "holds no package/dist/ort.wasm.min.mjs" in done.stderr


@pytest.mark.skipif(
    not browserruntime.is_complete(settings.BROWSER_RUNTIME),
    reason="the runtime that measures browsers is not there: make browser-runtime",
)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ort.wasm.min.mjs", "text/javascript"),
        ("ort-wasm-simd-threaded.mjs", "text/javascript"),
        ("ort-wasm-simd-threaded.wasm", "application/wasm"),
        ("ort.webgpu.min.mjs", "text/javascript"),
        ("ort-wasm-simd-threaded.asyncify.mjs", "text/javascript"),
        ("ort-wasm-simd-threaded.asyncify.wasm", "application/wasm"),
    ],
)
def test_runtime_is_served_for_good_and_may_run_web_assembly(name, kind):
    answer = fetched(f"/static/browser-runtime/{VERSION}/{name}", accept_encoding="gzip")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(kind)
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "script-src 'self' 'wasm-unsafe-eval'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Encoding"] == "gzip"


def test_other_files_may_not_run_web_assembly(client):
    pages = [client.get(path).headers for path in ("/", "/devices/")]
    names = ("js/pages/shell.js", "css/base.css")
    files = [fetched(f"/static/{name}").headers for name in names]
    for headers in (*pages, *files):
        assert "wasm" not in headers["Content-Security-Policy"]
        assert "Cross-Origin-Embedder-Policy" not in headers
    assert not any("immutable" in headers["Cache-Control"] for headers in files)
