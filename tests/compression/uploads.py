"""Makes the uploads that ``tests/data/uploads.toml`` lists, good and bad ones."""

import io
import struct
import warnings
import zipfile
import zlib

import numpy as np
from PIL import Image

N, SIDE, CLASSES = 40, 8, 4
NAMES = ("ant", "bee", "cat", "dog")
RNG = np.random.default_rng(3)
X = RNG.integers(0, 256, (N, SIDE, SIDE), dtype=np.uint8)
Y = np.arange(N) % CLASSES


def write(path):
    """Write the upload of that name."""
    path.write_bytes(MAKERS[path.name]())
    return path


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def archive(entries, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def png(pixels=None):
    buffer = io.BytesIO()
    pixels = X[0] if pixels is None else pixels
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def images(prefix=""):
    return {f"{prefix}{NAMES[Y[i]]}/{i}.png": png(X[i]) for i in range(N)}


def floats(value=None):
    x = RNG.standard_normal((N, SIDE, SIDE)).astype(np.float32)
    if value is not None:
        x[7, 0, 0] = value
    return x


def link():
    info = zipfile.ZipInfo("ant/0.png")
    info.external_attr = 0o120777 << 16
    return archive({info: "/etc/passwd"})


def huge():
    """The directory declares sizes that no entry has."""
    content = bytearray(archive({f"ant/{i}.png": png() for i in range(50)}))
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 20 : at + 28] = struct.pack("<II", 2**27 // 25, 2**30 // 10)
        at = content.find(b"PK\x01\x02", at + 1)
    return bytes(content)


def wide_png():
    """A picture whose header alone says that it is large."""
    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    signature = b"\x89PNG\r\n\x1a\n"
    data = b"IDAT" + zlib.compress(b"")
    return b"".join(
        [signature]
        + [
            struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c))
            for c in (chunk, data)
        ]
    )


def lying_header():
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**5)}
    )
    return archive({"x.npy": buffer.getvalue() + b"\0" * 64})


def damaged():
    content = bytearray(archive({"ant/0.png": png(), **images()}, zipfile.ZIP_STORED))
    content[content.find(b"IDAT") + 6] ^= 0xFF
    return bytes(content)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    OBJECTS = np.array([{"a": 1}] * N, dtype=object)

MAKERS = {
    "text.npz": lambda: b"x,y\n1,2\n",
    "single_array.npz": lambda: b"\x93NUMPY\x01\x00v\x00",
    "pickle.npz": lambda: b"\x80\x04K\x01.",
    "truncated.npz": lambda: npz(x=X, y=Y)[:-200],
    "pickled_array.npz": lambda: npz(x=OBJECTS, y=Y),
    "lying_header.npz": lying_header,
    "no_x.npz": lambda: npz(images=X, labels=Y),
    "test_only.npz": lambda: npz(x_test=X, y_test=Y),
    "wrong_shape.npz": lambda: npz(x=np.zeros((N, 32, 32, 3), np.uint8), y=Y),
    "different_shapes.npz": lambda: npz(
        x_train=X, y_train=Y, x_test=np.zeros((N, 9, 9), np.uint8), y_test=Y
    ),
    "labels_from_one.npz": lambda: npz(x=X, y=Y + 1),
    "labels_out_of_range.npz": lambda: npz(x=X, y=np.arange(N) % 10),
    "fractional_labels.npz": lambda: npz(x=X, y=Y + 0.5),
    "text_labels.npz": lambda: npz(x=X, y=np.array(NAMES)[Y]),
    "label_matrix.npz": lambda: npz(x=X, y=np.stack([Y, Y], 1)),
    "fewer_labels.npz": lambda: npz(x=X, y=Y[:-1]),
    "half_labelled.npz": lambda: npz(x_train=X, y_train=Y, x_test=X),
    "nan.npz": lambda: npz(x=floats(np.nan), y=Y),
    "one_class.npz": lambda: npz(x=X, y=np.full(N, 2)),
    "few_examples.npz": lambda: npz(x=X[:6], y=Y[:6]),
    "few_groups.npz": lambda: npz(x=X, y=Y, group=np.arange(N) % 3),
    "text_values.npz": lambda: npz(x=np.array(["text"] * N), y=Y),
    "empty.zip": lambda: archive({}),
    "no_folders.zip": lambda: archive({"a.png": png(), "b.png": png()}),
    "two_folders.zip": lambda: archive({"ant/0.png": png(), "bee/0.png": png()}),
    "broken_image.zip": lambda: archive({**images(), "ant/0.png": b"no picture"}),
    "bomb.zip": lambda: archive({**images(), "ant/bomb.png": b"\0" * 2**23}),
    "huge.zip": huge,
    "climbing.zip": lambda: archive({"../ant/0.png": png()}),
    "absolute.zip": lambda: archive({"/etc/0.png": png()}),
    "link.zip": link,
    "too_many_pixels.zip": lambda: archive({**images(), "ant/0.png": wide_png()}),
    "damaged.zip": damaged,
    "plain.npz": lambda: npz(x=X, y=Y),
    "channels_last.npz": lambda: npz(x=X[..., None], y=Y),
    "channels_first.npz": lambda: npz(x=X[:, None], y=Y),
    "flat.npz": lambda: npz(x=X.reshape(N, -1), y=Y),
    "one_hot.npz": lambda: npz(x=X, y=np.eye(CLASSES)[Y]),
    "train_test.npz": lambda: npz(x_train=X, y_train=Y, x_test=X[:12], y_test=Y[:12]),
    "train_val_test.npz": lambda: npz(
        x_train=X,
        y_train=Y,
        x_val=X[:20],
        y_val=Y[:20],
        x_test=X[:12],
        y_test=Y[:12],
    ),
    "images.zip": lambda: archive({**images("pets/"), "pets/readme.txt": b"hello"}),
    "images_with_split.zip": lambda: archive(images("train/") | images("test/")),
}
