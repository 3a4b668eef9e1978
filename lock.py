"""Writes requirements*.lock: every package that requirements*.txt pull in, with the hashes of all its files.

``make lock`` calls it, with uv at hand. What a lock pins already stays as it is; to take newer versions delete the
lock first. PyTorch and what its wheel for NVIDIA cards needs stand in locks of their own, see the Makefile.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TORCH = "torch==2.13.0"
CPU_WHEELS = ("6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",)
"""Hashes of wheels without CUDA, which other indexes than PyPI have: CPython 3.11 for Linux on x86-64."""

RUN_LOCK = ROOT / "requirements.lock"
TORCH_LOCK, CUDA_LOCK = ROOT / "requirements-torch.lock", ROOT / "requirements-cuda.lock"
FOR_CARDS = re.compile(r"(cuda|nvidia|triton)\b")
SEPARATE = re.compile(rf"torch==|{FOR_CARDS.pattern}")
HEAD = "# Written by `make lock`; change requirements*.txt instead.\n"
COMPILE = (
    *("uv", "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-header", "--no-annotate", "--quiet", "--system-certs"),
)


def main() -> None:
    for wanted in sorted(ROOT.glob("requirements*.txt")) + sorted(
        ROOT.glob("benchmarks/requirements*.txt")
    ):
        lock = wanted.with_suffix(".lock")
        entries = locked(wanted, lock)
        write(lock, [entry for entry in entries if not SEPARATE.match(entry)])
        if wanted.name == "requirements.txt":
            (torch,) = (entry.rstrip() for entry in entries if entry.startswith("torch=="))
            cpu = (
                f" \\\n    --hash=sha256:{digest}"
                for digest in CPU_WHEELS
                if digest not in torch
            )
            write(TORCH_LOCK, ["".join((torch, *cpu, "\n"))])
            write(CUDA_LOCK, [entry for entry in entries if FOR_CARDS.match(entry)])


def locked(wanted: Path, lock: Path) -> list[str]:
    """Each package with its hashes as a block of lines, PyTorch and its own among them."""
    with tempfile.TemporaryDirectory() as scratch:
        torch, found = Path(scratch) / "torch.txt", Path(scratch) / "found.lock"
        torch.write_text("" if wanted.stem.endswith(("tools", "alone")) else TORCH)
        # what goes into the same environment later is pinned as it already stands there
        before = (lock,) if lock.exists() else (RUN_LOCK,)
        pinned = [path for path in (*before, TORCH_LOCK, CUDA_LOCK) if path.exists()]
        found.write_text("".join(path.read_text() for path in pinned))
        alone = ["--no-deps"] if wanted.stem.endswith("alone") else []
        command = [*COMPILE, *alone, str(wanted), str(torch), "--output-file", str(found)]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            sys.exit(f"{wanted.name} cannot be locked; uv says why.")
        return re.findall(r"^\w.*?\n(?=\w|\Z)", found.read_text(), re.MULTILINE | re.DOTALL)


def write(lock: Path, entries: list[str]) -> None:
    lock.write_text(HEAD + "".join(entries))


if __name__ == "__main__":
    main()
