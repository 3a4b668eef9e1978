"""Code that runs a finished model, complete with its names, shapes, preprocessing and classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compression.native_snippets import android, cpp, ncnn
from compression.usage import CLASSES_FILE, Usage, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """Code in one language for one runtime.

    ``name`` is what pages know it by, ``syntax`` what Markdown calls the language.
    """

    name: str
    title: str
    syntax: str
    code: str


def snippets(usage: Usage, primary: str, files: Iterable[str]) -> tuple[Snippet, ...]:
    """Python, Android and C++ for the ONNX file, then a snippet for each other format among the files.

    Args:
        usage: the model's interface.
        primary: the ONNX file.
        files: the names of all model files in the bundle.
    """
    names = list(files)
    made = [
        _snippet("python", "Python", "python", python(usage, primary)),
        _snippet("android", "Android", "kotlin", android(usage, primary)),
        _snippet("cpp", "C++", "cpp", cpp(usage, primary)),
    ]
    for name in names:
        for ending, (key, title, syntax, write) in _BY_ENDING.items():
            if name.endswith(ending):
                made.append(_snippet(key, title, syntax, write(usage, name)))
    return tuple(made)


def _snippet(name: str, title: str, syntax: str, code: str) -> Snippet:
    return Snippet(name=name, title=title, syntax=syntax, code=code)


def python(usage: Usage, model: str) -> str:
    """ONNX Runtime in Python; ``raw`` holds samples as they lie in the data."""
    many = f"{usage.batch} samples a call" if usage.batch > 1 else "n samples"
    return "\n".join(
        [
            "import numpy as np",
            "import onnxruntime as ort",
            "",
            f"session = ort.InferenceSession({quoted(model)})",
            *_classes(usage),
            *_prepare(usage),
            "",
            f"# {many} of {usage.raw_words}",
            *_run(usage),
            *_answers(usage),
        ]
    )


def litert(usage: Usage, model: str) -> str:
    """LiteRT in Python, one sample at a time."""
    return "\n".join(
        [
            "import numpy as np",
            "from ai_edge_litert.interpreter import Interpreter",
            "",
            f"interpreter = Interpreter(model_path={quoted(model)})",
            "interpreter.allocate_tensors()",
            *_classes(usage),
            *_prepare(usage),
            "",
            f"# one sample of {usage.raw_words}; channels stay in front, as in ONNX",
            'interpreter.set_tensor(interpreter.get_input_details()[0]["index"], prepare(raw)[:1])',
            "interpreter.invoke()",
            'scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])',
            *_answers(usage),
        ]
    )


def executorch(usage: Usage, model: str) -> str:
    """ExecuTorch in Python, one sample at a time."""
    return "\n".join(
        [
            "import numpy as np",
            "import torch",
            "from executorch.runtime import Runtime",
            "",
            f'method = Runtime.get().load_program({quoted(model)}).load_method("forward")',
            *_classes(usage),
            *_prepare(usage),
            "",
            f"# one sample of {usage.raw_words}",
            "scores = method.execute([torch.from_numpy(prepare(raw)[:1])])[0].numpy()",
            *_answers(usage),
        ]
    )


_BY_ENDING: dict[str, tuple[str, str, str, Callable[[Usage, str], str]]] = {
    ".ncnn.param": ("ncnn", "ncnn", "cpp", ncnn),
    ".tflite": ("litert", "LiteRT", "python", litert),
    ".pte": ("executorch", "ExecuTorch", "python", executorch),
}


def _classes(usage: Usage) -> list[str]:
    if usage.inline_classes:
        return [f"classes = [{', '.join(map(quoted, usage.class_names))}]"]
    if usage.class_names:
        return [f'classes = open({quoted(CLASSES_FILE)}, encoding="utf-8").read().splitlines()']
    return []


def _prepare(usage: Usage) -> list[str]:
    """The function from raw samples to model-ready ones, as ``Preprocessing.apply`` computes them."""
    way = usage.preprocessing
    shape = ", ".join(map(str, (-1, *usage.input_shape)))
    column = ", ".join(map(str, (-1, *(1,) * (len(usage.input_shape) - 1))))
    lines = ["", "", "def prepare(raw):", "    x = np.asarray(raw, np.float32)"]
    if usage.channels_last:
        lines.append("    x = np.moveaxis(x, -1, 1)")
    lines.append(f"    x = np.ascontiguousarray(x.reshape({shape}))")
    if way.divide != 1.0:
        lines.append(f"    x = x / np.float32({way.divide:.9g})")
    if any(way.mean):
        lines.append(
            f"    x = x - np.array([{listed(way.mean)}], np.float32).reshape({column})"
        )
    if any(value != 1.0 for value in way.std):
        lines.append(f"    x = x / np.array([{listed(way.std)}], np.float32).reshape({column})")
    return [*lines, "    return x", ""]


def _run(usage: Usage) -> list[str]:
    call = (
        f"session.run([{usage.quoted_outputs}], {{{quoted(usage.input_name)}: prepare(raw)}})"
    )
    if not usage.has_several:
        return [f"scores = {call}[0]"]
    names = f"outputs = {call}  # one array for each of these names"
    return [names, f"scores = outputs[{usage.judged}]"] if usage.class_names else [names]


def _answers(usage: Usage) -> list[str]:
    return ["print([classes[i] for i in scores.argmax(axis=1)])"] if usage.class_names else []
