"""What uploads are when they are not ONNX, told from their first bytes; none of them is opened."""

from __future__ import annotations

import io
import zipfile

from compression.errors import ModelRefusedError

HOW_TO_EXPORT = (
    "Export it to ONNX where it was trained, for example with "
    'torch.onnx.export(model, example_input, "model.onnx"), and upload that file'
)


def refuse_other_formats(data: bytes) -> None:
    """Raise a refusal that names the format when the bytes are of one that is known.

    Raises:
        ModelRefusedError: a pickle, a PyTorch, TorchScript, Keras, TensorFlow Lite, NumPy or
            safetensors file, or some zip archive.
    """
    if data[:4] == b"PK\x03\x04":
        raise ModelRefusedError(f"{_zip_contents(data)} {HOW_TO_EXPORT}.")
    if data[0] == 0x80 and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise ModelRefusedError(
            "This is a Python pickle (an old PyTorch file?), not ONNX. Opening a pickle runs the "
            f"code in it, so it is never opened here. {HOW_TO_EXPORT}."
        )
    for start, offset, text in (
        (b"\x89HDF\r\n", 0, "This is an HDF5 file (Keras?), not ONNX."),
        (b"TFL3", 4, "This is a TensorFlow Lite file, not ONNX."),
        (b"\x93NUMPY", 0, "This is a NumPy array, not an ONNX model."),
        (b'{"', 8, "This is a safetensors file: weights without the network."),
    ):
        if data[offset : offset + len(start)] == start:
            raise ModelRefusedError(f"{text} {HOW_TO_EXPORT}.")


def _zip_contents(data: bytes) -> str:
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except zipfile.BadZipFile:
        names = []
    if any("/code/" in f"/{name}" for name in names):
        return "This is a TorchScript file, not ONNX; TorchScript holds code that opening runs."
    if any(name.endswith("data.pkl") for name in names):
        return (
            "This is a PyTorch file (a pickle inside a zip), not ONNX. Opening a pickle runs the "
            "code in it, so it is never opened here."
        )
    if any(name.endswith(".npy") for name in names):
        return "This is a NumPy archive, not an ONNX model."
    return "This is a zip archive, not an ONNX file."
