import ast
import io
import subprocess
import sys
import zipfile

from webapp.agents import archive


def test_same_sources_make_the_same_bytes():
    first = archive.agent_archive()
    archive.agent_archive.cache_clear()
    assert archive.agent_archive() == first
    assert len(first) < 50_000


def test_archive_holds_the_agent_alone_for_python_3_9():
    with zipfile.ZipFile(io.BytesIO(archive.agent_archive())) as opened:
        names = opened.namelist()
        for name in names:
            ast.parse(opened.read(name), feature_version=(3, 9))
    assert all(
        name == "__main__.py"
        or name.endswith("__init__.py")
        or name.startswith("webapp/devices/agent/")
        for name in names
    )


def test_anybody_may_fetch_it_and_run_it(client, tmp_path):
    answer = client.get("/devices/agent/adadeep-agent.pyz")
    path = tmp_path / "adadeep-agent.pyz"
    path.write_bytes(answer.content)
    run = subprocess.run(
        [sys.executable, path, "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert "--server" in run.stdout


def test_without_a_token_it_says_where_the_token_is(tmp_path):
    path = tmp_path / "adadeep-agent.pyz"
    path.write_bytes(archive.agent_archive())
    run = subprocess.run(
        [sys.executable, path, "--server", "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 2
    assert "The device's page shows the token once" in run.stderr
