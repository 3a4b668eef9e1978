"""What a user takes home: the models, the reports, the recipe, and one zip of all with checksums."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compression import durable
from compression.errors import VerificationError
from compression.packed import MOST_BYTES, packed, unpacked
from compression.report_html import report_html
from compression.report_numbers import accuracy_words
from compression.snippets import snippets
from compression.usage import CLASSES_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compression.snippets import Snippet
    from compression.usage import Usage

BUNDLE = "bundle.zip"
CHECKSUMS = "SHA256SUMS"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_FORMATS = {".onnx": "onnx", ".xz": "xz", ".json": "json", ".md": "markdown", ".html": "html"}


def write_bundle(
    folder: Path,
    report: Mapping[str, Any],
    models: Mapping[str, bytes],
    *,
    usage: Usage,
) -> dict[str, Any]:
    """Write all files of a finished build; each appears whole or not at all.

    Files: the models, the first of them packed (``packed``), ``recipe.json``, ``preprocessing.json``,
    ``classes.txt`` where classes have names, ``README.md``, ``report.json``, ``report.html``,
    ``SHA256SUMS`` and ``bundle.zip``, which holds all the others. The same input makes the same bytes.

    Args:
        folder: where to; it exists.
        report: as its schema wants it; ``artifacts`` lists at least the models.
        models: bytes by file name, ONNX and other formats, each reloaded and compared before.
        usage: how the models are fed and read.

    Returns:
        The report as written, with every artifact in it but the report itself and the bundle, which
        cannot hold their own hashes.
    """
    primary = next(
        (a["path"] for a in report["artifacts"] if a.get("primary")), next(iter(models))
    )
    code = snippets(usage, primary, models)
    small = _packed_model(primary, models[primary])
    packed_size = sum(map(len, small.values()))
    files = {
        **models,
        **small,
        "recipe.json": _recipe(report),
        "preprocessing.json": _json(report.get("preprocessing", {})),
        **_classes(usage),
        "README.md": _readme(report, primary, code, usage, packed_size).encode(),
    }
    final = {
        **report,
        "input_name": usage.input_name,
        "input_shape": list(usage.input_shape),
        "output_names": list(usage.output_names),
        "snippets": [asdict(snippet) for snippet in code],
        "artifacts": _artifacts(report, files),
    }
    files["report.json"] = _json(final)
    files["report.html"] = report_html(final).encode()
    files[CHECKSUMS] = _checksums(files).encode()
    for name, content in files.items():
        _write(folder / name, content)
    _write(folder / BUNDLE, _zip(files, bundle_name(final)))
    return final


def bundle_name(report: Mapping[str, Any]) -> str:
    """``model@device@latency@accuracy``: a file that says what it is, without its suffix."""
    latency = report["predicted"]["latency_ms"]["result"]
    if report["target"] == "this-host":
        latency = report["result"]["host_latency_ms"]["p50"]
    name = "".join(
        c if c.isalnum() or c in "-_." else "-" for c in report.get("model_name", "model")
    )
    return f"{name}@{report['target']}@{latency:.2g}ms@{100 * report['result']['accuracy']:.1f}"


def _classes(usage: Usage) -> dict[str, bytes]:
    names = "".join(f"{' '.join(name.splitlines())}\n" for name in usage.class_names)
    return {CLASSES_FILE: names.encode()} if names else {}


def _packed_model(name: str, model: bytes) -> dict[str, bytes]:
    """The model once more in its smallest form, unpacked and compared; none of a very large one."""
    if len(model) > MOST_BYTES:
        return {}
    small = packed(model)
    if unpacked(small) != model:
        raise VerificationError(f"{name} does not come out of its packed form as it went in.")
    return {f"{name}.xz": small}


def _recipe(report: Mapping[str, Any]) -> bytes:
    """What ``python -m selector apply`` reads."""
    settings = ("seed", "threads", "time_limit_s", "preprocessing")
    kept = ("model_sha256", *settings, "recipe")
    return _json({"version": 1, **{key: report[key] for key in kept if key in report}})


def _artifacts(report: Mapping[str, Any], files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    known = {row["path"]: row for row in report["artifacts"]}
    return [
        {
            "format": _FORMATS.get(Path(name).suffix, "text"),
            "verified": True,
            **known.get(name, {}),
            "path": name,
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for name, content in files.items()
    ]


def _unpacking(primary: str, packed_size: int) -> str:
    """How to get the model out of its packed form; empty where there is none."""
    if not packed_size:
        return ""
    return f"""### Smaller still

`{primary}.xz` is the same file in {packed_size:,} bytes. Anything that reads xz unpacks it (`xz -dk {primary}.xz`); in Python:

```python
import lzma
model = lzma.open("{primary}.xz").read()  # what InferenceSession takes in place of a path
```

"""


def _readme(
    report: Mapping[str, Any],
    primary: str,
    code: Sequence[Snippet],
    usage: Usage,
    packed_size: int,
) -> str:
    result = report["result"]
    blocks = "\n".join(
        f"### {snippet.title}\n\n```{snippet.syntax}\n{snippet.code}\n```\n" for snippet in code
    )
    return f"""# {bundle_name(report)}

- {accuracy_words(result)}: {100 * result["accuracy"]:.2f} % on {result["n_test"]:,} examples (measured)
- file: {result["size_bytes"]:,} bytes, {report["ratios"]["size"]:.1f} times smaller than the original
- time of one call where it was built: {result["host_latency_ms"]["p50"]:.3g} ms (measured, one thread)

`report.html` says how each number is known, `recipe.json` repeats the compression:
`python -m selector apply ORIGINAL.onnx recipe.json --data DATA --out FOLDER`. `SHA256SUMS` checks the files:
`sha256sum -c SHA256SUMS`.

## Run it

`{primary}` reads float32 `{usage.input_name}` of shape {list(usage.input_shape)} with the batch in front and
answers with {", ".join(f"`{name}`" for name in usage.output_names)}.
The code prepares raw samples of {usage.raw_words}: `(x / divide - mean) / std`, as `preprocessing.json` says.

{blocks}
{_unpacking(primary, packed_size)}"""


def _checksums(files: Mapping[str, bytes]) -> str:
    return "".join(f"{hashlib.sha256(c).hexdigest()}  {name}\n" for name, c in files.items())


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _zip(files: Mapping[str, bytes], name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file, content in files.items():
            entry = zipfile.ZipInfo(f"{name}/{file}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"tmp{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        durable.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
