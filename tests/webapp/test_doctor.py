import fcntl
import io
import socket
import sys

import pytest
from django.core.management import call_command
from django.db.migrations.recorder import MigrationRecorder

from tests.webapp import making
from webapp.supervision import check_files, check_machine, check_parts
from webapp.supervision.checkup import Grade, checkup

pytestmark = pytest.mark.django_db


def found(*checks):
    return [(f.grade, f.what, f.how) for f in checkup(checks)]


def only(check, grade):
    """The one finding, which must be of that grade, as text."""
    ((got, what, how),) = found(check)
    assert got == grade, what
    return f"{what} {how}"


def test_sound_installation_is_well_and_the_real_engine_starts(settings, home):
    settings.ENGINE_COMMAND = []
    settings.REDIS_URL = f"unix://{home}/run/broker.sock"
    said = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=said)
    assert ended.value.code == 0, said.getvalue()
    assert "Engine: opened a sample in" in said.getvalue()
    assert "Nothing is wrong." in said.getvalue()


def test_what_is_wrong_makes_the_status_1(home):
    home.chmod(0o755)
    said = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=said)
    assert ended.value.code == 1
    assert f"chmod go-rwx {home}" in said.getvalue()


def test_packages_that_are_not_as_pinned_are_named(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    (tmp_path / "requirements.txt").write_text("Django==1.0\nnothing-of-ours==2\n")
    text = only(check_machine.packages, Grade.WRONG)
    assert "Django 5." in text
    assert "instead of 1.0" in text
    assert "nothing-of-ours is missing" in text
    assert "make setup" in text


def test_full_disk_is_wrong(settings):
    settings.UPLOAD_SPARE_BYTES = 2**60
    assert "ADADEEP_HOME" in only(check_machine.free_space, Grade.WRONG)


def test_clock_that_differs_from_the_disks_is_wrong(monkeypatch):
    monkeypatch.setattr(check_machine, "_file_skew_s", lambda: 90.0)
    assert "disk is +90 s off" in only(check_machine.clock, Grade.WRONG)


def test_silent_broker_of_ones_own_is_wrong(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "REDIS_URL" in only(check_parts.broker, Grade.WRONG)


def test_broker_that_comes_along_need_not_run(settings, home):
    settings.REDIS_URL = f"unix://{home}/run/broker.sock"
    assert "not started" in only(check_parts.broker, Grade.OK)


def test_missing_migration_is_said():
    MigrationRecorder.Migration.objects.filter(app="accounts").latest("pk").delete()
    assert "1 migrations are not applied" in only(check_parts.database, Grade.NOTE)


def test_files_that_are_gone_are_named_with_how_to_mend_it(user, work_off):
    build = making.build(user)
    work_off()
    assert "all that the database names" in only(check_files.files, Grade.OK)
    (build.folder / "PACKAGE" / "model.onnx").unlink()
    build.project.data.path.unlink()
    text = only(check_files.files, Grade.WRONG)
    assert f"jobs/{build.pk}/PACKAGE/model.onnx (model.onnx of tiny)" in text
    sha256 = build.project.data.sha256
    assert f"uploads/{sha256[:2]}/{sha256} (points.npz)" in text
    assert "from a backup" in text


def test_engine_that_does_not_start_is_quoted(settings, tmp_path):
    script = tmp_path / "engine.py"
    script.write_text("raise SystemExit('no torch here')")
    settings.ENGINE_COMMAND = [sys.executable, str(script)]
    assert "no torch here" in only(check_parts.engine, Grade.WRONG)


def test_half_a_converter_is_wrong_and_none_is_not(settings, tmp_path):
    settings.ADADEEP_EXTRAS = str(tmp_path)
    assert found(check_parts.extras) == []
    (tmp_path / ".venv-ncnn").mkdir()
    assert "make extra-ncnn" in only(check_parts.extras, Grade.WRONG)


def test_port_says_whether_we_hold_it_or_another(monkeypatch, home):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(check_parts, "PORT", other.getsockname()[1])
        assert "taken by another program" in only(check_parts.port, Grade.NOTE)
    with (home / "run" / "up.lock").open("w") as file:
        file.write("http://here")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "Running: http://here" in only(check_parts.port, Grade.OK)


def test_debug_is_wrong_and_plain_http_is_said(settings):
    settings.DEBUG = True
    settings.AUTH_MODE = "accounts"
    grades = [grade for grade, _, _ in found(check_parts.exposure)]
    assert grades == [Grade.WRONG, Grade.NOTE]


def test_network_that_cannot_be_taken_away_is_said(monkeypatch):
    monkeypatch.setattr("webapp.jobs.sandbox.network_isolation", lambda: ())
    grade, what, _how = found(check_parts.sandbox)[0]
    assert (grade, what) == (
        Grade.NOTE,
        "Sandbox, network: off; this machine does not allow it.",
    )


def test_check_that_breaks_is_a_finding_and_the_others_go_on():
    def stumbling():
        raise RuntimeError("stumbled")

    ((first, what, _), (second, _, _)) = found(stumbling, check_parts.exposure)
    assert (first, what, second) == (Grade.WRONG, "Stumbling: stumbled", Grade.OK)
