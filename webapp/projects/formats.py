"""What an uploaded file is, told from its content alone, and a sentence for what we do not take."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from webapp.projects import zip_directory
from webapp.projects.zip_directory import DamagedZipError, Entry, LongDirectoryError
from webapp.responses import RequestRefusedError

TORCH = (
    "This is a PyTorch file. Such files can run code, so we don't open them. "
    "Export to ONNX; here are three lines that do it:\n"
    "import torch\n"
    "x = torch.randn(1, *input_shape)\n"
    'torch.onnx.export(model.eval(), (x,), "model.onnx", dynamo=False)'
)
PICKLE = (
    "This is a Python pickle. Such files can run code, so we don't open them. Export to ONNX."
)
NOT_ONNX = "This is not an ONNX file. Export the trained model to ONNX, weights in the file."
NOT_DATA = (
    "This is not a data file. Bring a .npz with x and y, or a .zip with one folder a class."
)
EMPTY_ZIP = "The zip is empty. Put one folder of images a class into it."
CUT_SHORT = "The file is cut short: its end is missing. Export or upload it again."
BOMB = "This zip unpacks to far more than it holds; we don't open such files."

LONG_DIRECTORY = "The zip's list of files is too long: too many files, or names too long."

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
OTHER_MODELS = {
    b"\x89HDF": "This is a Keras file. Convert it to ONNX with tf2onnx.",
    b"GGUF": "This is a GGUF file. Bring the model as ONNX.",
}
LEGACY_TORCH = (
    b"\x80\x02\x8a\nl\xfc\x9cF"  # the pickled magic number of torch.save before zip files
)
MOST_ENTRIES = 200_000
MOST_UNPACKED_BYTES = 32 * 1024**3
MOST_RATIO = 100
GRAPH_FIELD = 7  # of ONNX's ModelProto
MOST_FIELDS = 100_000  # each costs time; a model has some of its own and one for each function


def check_model(path: Path) -> None:
    """Raise ``RequestRefusedError`` unless the file looks like a whole ONNX model."""
    with path.open("rb") as file:
        head = file.read(16)
        if not head:
            raise _refused("The file is empty.")
        if head.startswith(b"PK"):
            raise _refused(_zip_as_model(path))
        _refuse_known(head)
        file.seek(0)
        found = _protobuf_fields(file, path.stat().st_size)
        fields = list(islice(found, MOST_FIELDS + 1))
    if GRAPH_FIELD not in fields or len(fields) > MOST_FIELDS:
        raise _refused(NOT_ONNX)


def check_data(path: Path) -> str:
    """``npz`` or ``zip``; raises ``RequestRefusedError`` for anything else."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"\x93NUMPY"):
        raise _refused(
            "This is a single array. Save examples and labels together: np.savez(x=…, y=…)."
        )
    if not head.startswith(b"PK"):
        raise _refused(PICKLE if _is_pickle(head) else NOT_DATA)
    entries = _zip_entries(path)
    if not entries:
        raise _refused(EMPTY_ZIP)
    _check_zip_limits(entries, path.stat().st_size)
    names = [entry.name for entry in entries]
    if all(name.endswith(".npy") for name in names):
        return "npz"
    if _is_torch(names):
        raise _refused(TORCH)
    if not any(name.lower().endswith(IMAGES) for name in names):
        raise _refused("The zip holds no images. Put one folder of images a class into it.")
    return "zip"


def _refused(message: str) -> RequestRefusedError:
    return RequestRefusedError(message, code="file_refused", status=422)


def _refuse_known(head: bytes) -> None:
    if head.startswith(LEGACY_TORCH):
        raise _refused(TORCH)
    if _is_pickle(head):
        raise _refused(PICKLE)
    if head[4:8] == b"TFL3":
        raise _refused("This is a TensorFlow Lite file. Bring the model as ONNX.")
    for magic, message in OTHER_MODELS.items():
        if head.startswith(magic):
            raise _refused(message)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100 * 1024**2:
        raise _refused(
            "This file holds weights only (safetensors). Bring the whole model as ONNX."
        )


def _is_pickle(head: bytes) -> bool:
    return head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def _is_torch(names: list[str]) -> bool:
    last_parts = {name.rpartition("/")[2] for name in names}
    return bool(last_parts & {"data.pkl", "constants.pkl", "archive_format", "model.json"})


def _zip_as_model(path: Path) -> str:
    names = [entry.name for entry in _zip_entries(path)]
    if _is_torch(names):
        return TORCH
    if any(name.endswith(".onnx") for name in names):
        return "The model is inside a zip. Unpack it and bring the .onnx file itself."
    if names and all(name.endswith(".npy") for name in names):
        return "This is a data file, not a model. Bring the model as ONNX, and this file as its data."
    return NOT_ONNX


def _zip_entries(path: Path) -> list[Entry]:
    """The files in it; no more entries than are allowed are looked at."""
    try:
        entries = list(islice(zip_directory.entries(path), MOST_ENTRIES + 1))
    except DamagedZipError as error:
        raise _refused(CUT_SHORT) from error
    except LongDirectoryError as error:
        raise _refused(LONG_DIRECTORY) from error
    if len(entries) > MOST_ENTRIES:
        raise _refused(f"The zip holds more than {MOST_ENTRIES:,} files. Bring a part of them.")
    return [entry for entry in entries if not entry.name.endswith("/")]


def _check_zip_limits(entries: list[Entry], packed_bytes: int) -> None:
    unpacked = sum(entry.size_bytes for entry in entries)
    if unpacked > MOST_UNPACKED_BYTES or unpacked > MOST_RATIO * max(packed_bytes, 1_000_000):
        raise _refused(BOMB)
    for name, _, is_locked, is_link in entries:
        if name.startswith("/") or (".." in name and ".." in name.split("/")):
            raise _refused(f"The zip names a file outside itself: {name[:80]}.")
        if is_locked:
            raise _refused("The zip is locked with a password. Pack it without one.")
        if is_link:
            raise _refused("The zip holds links to other files. Pack the files themselves.")


def _protobuf_fields(file: BinaryIO, size: int) -> Iterator[int]:
    """Numbers of the top-level fields; contents are skipped, not read."""
    while file.tell() < size:
        tag = _varint(file)
        field, wire = tag >> 3, tag & 7
        if wire not in (0, 1, 2, 5) or not 1 <= field <= 100:
            raise _refused(NOT_ONNX)
        if wire == 0:
            _varint(file)
        else:
            length = {1: 8, 5: 4}.get(wire) or _varint(file)
            if file.tell() + length > size:
                # Only what began as a model can be called a truncated one.
                raise _refused(CUT_SHORT if field == GRAPH_FIELD else NOT_ONNX)
            file.seek(length, 1)
        yield field


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _refused(CUT_SHORT)
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise _refused(NOT_ONNX)
