import io
import zipfile

import pytest

from tests.webapp import making
from webapp.projects import formats, zip_directory
from webapp.projects.zip_directory import DamagedZipError, LongDirectoryError, entries
from webapp.responses import RequestRefusedError

PICTURES = {"ant/": b"", "ant/1.png": b"x" * 500, "bée/2.jpg": b"yy", "c" * 300: b""}
PLAIN = making.zip_bytes(**PICTURES)


def with_comment():
    buffer = io.BytesIO(PLAIN)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"PK\5" * 21_000
    return buffer.getvalue()


def many(count):
    return making.zip_bytes(**{f"ant/{n}.png": b"" for n in range(count)})


ARCHIVES = {
    "plain": PLAIN,
    "nothing in it": making.zip_bytes(),
    "a long comment": with_comment(),
    "a program before it": b"#!/bin/sh\n" * 99 + PLAIN,
    "more entries than the old record counts": many(2**16 + 5),
}


@pytest.fixture
def kept(tmp_path):
    def keep(content):
        path = tmp_path / "file"
        path.write_bytes(content)
        return path

    return keep


def broken_at(number, content):
    """The directory's entry of that number is none."""
    broken, at = bytearray(content), -1
    for _ in range(number):
        at = content.index(zip_directory.ENTRY_MARK, at + 1)
    broken[at] = 0
    return bytes(broken)


@pytest.mark.parametrize("case", ARCHIVES)
def test_finds_what_the_standard_library_finds(kept, case):
    path = kept(ARCHIVES[case])
    with zipfile.ZipFile(path) as archive:
        wanted = [(info.filename, info.file_size) for info in archive.infolist()]
    assert [(entry.name, entry.size_bytes) for entry in entries(path)] == wanted


@pytest.mark.parametrize("name", ["locked", "link"])
def test_tells_locks_and_links(kept, name):
    content = bytearray(making.zip_bytes(a=b"", b=b""))
    at = content.index(zip_directory.ENTRY_MARK)
    if name == "locked":
        content[at + 8] |= 1
    else:
        content[at + 41] = 0xA1
    first, second = entries(kept(bytes(content)))
    assert (first.is_locked, first.is_link) == (name == "locked", name == "link")
    assert (second.is_locked, second.is_link) == (False, False)


def test_whatever_is_cut_off_is_told(kept):
    for length in range(len(PLAIN)):
        with pytest.raises(DamagedZipError):
            list(entries(kept(PLAIN[:length])))


def test_directory_that_is_longer_than_the_file(kept):
    content = bytearray(PLAIN)
    content[-10:-6] = b"\xff" * 4
    with pytest.raises(DamagedZipError):
        list(entries(kept(bytes(content))))


def test_long_directory_is_not_read(kept, monkeypatch):
    path = kept(broken_at(1, PLAIN))
    monkeypatch.setattr(zip_directory, "MOST_BYTES", 100)
    with pytest.raises(LongDirectoryError):
        next(entries(path))
    with pytest.raises(RequestRefusedError, match="list of files is too long"):
        formats.check_data(path)


@pytest.mark.parametrize("check", [formats.check_data, formats.check_model])
def test_no_entry_is_read_beyond_those_allowed(kept, monkeypatch, check):
    monkeypatch.setattr(formats, "MOST_ENTRIES", 4)
    with pytest.raises(RequestRefusedError, match="holds more than 4 files"):
        check(kept(broken_at(6, many(10))))
    with pytest.raises(RequestRefusedError, match="cut short"):
        check(kept(broken_at(5, many(10))))


def test_no_part_of_a_model_is_read_beyond_those_allowed(kept, monkeypatch):
    monkeypatch.setattr(formats, "MOST_FIELDS", 100)
    part, cut_short = b"\x08\x09", b"\x08\xff"
    with pytest.raises(RequestRefusedError, match="not an ONNX file"):
        formats.check_model(kept(101 * part + cut_short))
    with pytest.raises(RequestRefusedError, match="cut short"):
        formats.check_model(kept(100 * part + cut_short))
