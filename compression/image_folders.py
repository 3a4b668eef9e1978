"""Images from an uploaded ``.zip`` that has one folder a class."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from compression.archives import MAX_UNPACKED_BYTES, read_entry
from compression.errors import DataRefusedError
from compression.raw_data import TEST, TRAIN, VALIDATION, WHOLE, RawData, RawPart, shape_text

if TYPE_CHECKING:
    import zipfile

    from numpy.typing import NDArray

    from compression.types import Shape

MAX_PIXELS = 50_000_000
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
_PART_FOLDERS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

_Files = dict[str, dict[str, list["zipfile.ZipInfo"]]]


def read_image_folders(archive: zipfile.ZipFile, input_shape: Shape, n_classes: int) -> RawData:
    """Images as uint8, channels last, scaled to the model's height and width.

    Folders are classes in the order of their names; folders that are numbers are those classes. For a
    model that does not answer with one class (``n_classes`` 0), folders only hold the images.
    ``train``, ``val`` and ``test`` folders above the classes are kept as the given split.

    Raises:
        DataRefusedError: when the model reads no images, or folders and classes do not match.
    """
    if len(input_shape) != 3 or input_shape[0] not in _MODES:
        raise DataRefusedError(
            f"A zip of images does not fit this model: its input is {shape_text(input_shape)}. "
            "Give an .npz with arrays."
        )
    files = _files_by_part_and_class(archive)
    numbers = _class_numbers(
        sorted({name for part in files.values() for name in part}), n_classes
    )
    count = sum(len(entries) for part in files.values() for entries in part.values())
    if count * int(np.prod(input_shape)) > MAX_UNPACKED_BYTES:
        raise DataRefusedError(
            f"{count:,} images at {shape_text(input_shape)} need more memory than is allowed. "
            "Give a part of the data."
        )
    parts = {
        name: _read_part(archive, classes, numbers, input_shape)
        for name, classes in files.items()
    }
    if not n_classes:
        return RawData(parts={name: replace(part, y=None) for name, part in parts.items()})
    names = tuple(sorted(numbers, key=lambda name: numbers[name]))
    return RawData(parts=parts, class_names=names if len(names) == n_classes else ())


def count_classes(archive: zipfile.ZipFile) -> int:
    """How many classes the folders tell apart."""
    folders = {name for part in _files_by_part_and_class(archive).values() for name in part}
    numbered = all(name.isdecimal() for name in folders)
    return max(map(int, folders)) + 1 if numbered else len(folders)


def _files_by_part_and_class(archive: zipfile.ZipFile) -> _Files:
    entries = [info for info in archive.infolist() if _is_image(info.filename)]
    paths = [info.filename.replace("\\", "/").split("/") for info in entries]
    while paths and len({path[0] for path in paths}) == 1 and min(map(len, paths)) > 2:
        paths = [path[1:] for path in paths]
    if not paths or min(map(len, paths)) < 2:
        raise DataRefusedError(
            "The zip holds no class folders with images. Put one folder for each class into it, "
            "for example cat/1.png and dog/1.png."
        )
    split = all(path[0].lower() in _PART_FOLDERS and len(path) > 2 for path in paths)
    files: _Files = defaultdict(lambda: defaultdict(list))
    for info, path in sorted(zip(entries, paths, strict=True), key=lambda item: item[1]):
        part = _PART_FOLDERS[path[0].lower()] if split else WHOLE
        files[part][path[1] if split else path[0]].append(info)
    if split and TRAIN not in files and VALIDATION not in files:
        raise DataRefusedError("The zip holds test images only. Add a train folder.")
    return files


def _is_image(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return not hidden and name.lower().endswith(_IMAGES)


def _class_numbers(folders: list[str], n_classes: int) -> dict[str, int]:
    """The model's output for each folder."""
    if not n_classes:
        return dict.fromkeys(folders, 0)
    if all(name.isdecimal() for name in folders):
        return {name: int(name) for name in folders}
    if len(folders) != n_classes:
        raise DataRefusedError(
            f"The zip has {len(folders)} class folders, but the model has {n_classes} outputs. "
            f"Give one folder for each, or name the folders by their output, 0 to {n_classes - 1}."
        )
    return {name: number for number, name in enumerate(folders)}


def _read_part(
    archive: zipfile.ZipFile,
    classes: dict[str, list[zipfile.ZipInfo]],
    numbers: dict[str, int],
    input_shape: Shape,
) -> RawPart:
    channels, height, width = input_shape
    entries = [(info, numbers[name]) for name, infos in classes.items() for info in infos]
    x = np.empty((len(entries), height, width, channels), np.uint8)
    for row, (info, _) in enumerate(entries):
        x[row] = _read_image(archive, info, _MODES[channels], (width, height))
    return RawPart(x=x, y=np.array([label for _, label in entries], np.int64))


def _read_image(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, mode: str, size: tuple[int, int]
) -> NDArray[np.uint8]:
    content = read_entry(archive, info)
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataRefusedError(
                    f"The image {info.filename!r} has {image.width} × {image.height} pixels; "
                    f"at most {MAX_PIXELS:,} are read."
                )
            ready = image.convert(mode)
            if ready.size != size:
                ready = ready.resize(size, Image.Resampling.BILINEAR)
            return np.asarray(ready, np.uint8).reshape(size[1], size[0], -1)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataRefusedError(
            f"The file {info.filename!r} is not a readable image. Remove or replace it."
        ) from error
    except Image.DecompressionBombError as error:
        raise DataRefusedError(f"The image {info.filename!r} is far too large.") from error
