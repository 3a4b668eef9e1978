"""What a user takes home: the models, the reports, the recipe, and one zip of all with checksums."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compression.report_html import report_html
from compression.report_numbers import accuracy_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.types import Shape

BUNDLE = "bundle.zip"
CHECKSUMS = "SHA256SUMS"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_FORMATS = {".onnx": "onnx", ".json": "json", ".md": "markdown", ".html": "html"}


def write_bundle(
    folder: Path,
    report: Mapping[str, Any],
    models: Mapping[str, bytes],
    *,
    input_name: str,
    input_shape: Shape,
) -> dict[str, Any]:
    """Write all files of a finished build; each appears whole or not at all.

    Files: the models, ``recipe.json``, ``preprocessing.json``, ``README.md``, ``report.json``,
    ``report.html``, ``SHA256SUMS`` and ``bundle.zip``, which holds all the others. The same input
    makes the same bytes.

    Args:
        folder: where to; it exists.
        report: as its schema wants it; ``artifacts`` lists at least the models.
        models: ONNX bytes by file name, each reloaded and compared before.
        input_name: of the model.
        input_shape: without the batch.

    Returns:
        The report as written, with every artifact in it but the report itself and the bundle, which
        cannot hold their own hashes.
    """
    primary = next(
        (a["path"] for a in report["artifacts"] if a.get("primary")), next(iter(models))
    )
    snippet = load_snippet(primary, input_name, input_shape)
    files = {
        **models,
        "recipe.json": _recipe(report),
        "preprocessing.json": _json(report.get("preprocessing", {})),
        "README.md": _readme(report, primary, snippet, input_shape).encode(),
    }
    final = {
        **report,
        "input_name": input_name,
        "input_shape": list(input_shape),
        "artifacts": _artifacts(report, files),
    }
    files["report.json"] = _json(final)
    files["report.html"] = report_html(final, snippet).encode()
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


def load_snippet(model: str, input_name: str, input_shape: Shape) -> str:
    """Three lines of Python that run the model."""
    shape = ", ".join(["n", *map(str, input_shape)])
    return (
        "import onnxruntime as ort\n"
        f'session = ort.InferenceSession("{model}")\n'
        f'outputs = session.run(None, {{"{input_name}": x}})[0]  # x: float32 [{shape}]'
    )


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


def _readme(report: Mapping[str, Any], primary: str, snippet: str, input_shape: Shape) -> str:
    result, preprocessing = report["result"], report.get("preprocessing", {})
    channels = len(input_shape) > 1
    order = "channels first" if channels else "flat"
    return f"""# {bundle_name(report)}

```python
{snippet}
```

`{primary}` expects float32 inputs of shape {list(input_shape)} with the batch in front, {order}, prepared as
`(x / {preprocessing.get("divide", 1)} - {preprocessing.get("mean", [0])}) / {preprocessing.get("std", [1])}`.

- {accuracy_words(result)}: {100 * result["accuracy"]:.2f} % on {result["n_test"]:,} examples (measured)
- file: {result["size_bytes"]:,} bytes, {report["ratios"]["size"]:.1f} times smaller than the original
- time of one call where it was built: {result["host_latency_ms"]["p50"]:.3g} ms (measured, one thread)

`report.html` says how each number is known, `recipe.json` repeats the compression:
`python -m selector apply ORIGINAL.onnx recipe.json --data DATA --out FOLDER`. `SHA256SUMS` checks the files:
`sha256sum -c SHA256SUMS`.
"""


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
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
