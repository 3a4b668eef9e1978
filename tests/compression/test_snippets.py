import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from compression.evaluation import onnx_logits
from compression.onnx_import import import_onnx
from compression.other_formats import FORMATS, converted
from compression.preprocessing import Preprocessing
from compression.snippets import snippets
from compression.usage import CLASSES_FILE, Usage
from tests import networks

NAMES = ('a "quoted" one', "back\\slash", "$dollar", "Grüße")
MANY = tuple(f"class {i}" for i in range(24))


def many_classes():
    builder = networks.OnnxBuilder(3, 6, 6)
    x = builder.relu(builder.conv("x", "conv", 3, 8, 3))
    return builder.build(builder.dense(builder.op("Flatten", x), "head", 128, 24), 24)


def series():
    builder = networks.OnnxBuilder(3, 20)
    x = builder.relu(builder.conv("x", "conv", 3, 8, 5, dims=1))
    return builder.build(builder.dense(builder.op("Flatten", x), "head", 128, 4), 4)


CASES = {
    "grey images": (networks.small_lenet, Preprocessing(layout="NHW", divide=255.0, mean=(0.13,), std=(0.3,)), NAMES),
    "colour images": (many_classes, Preprocessing(layout="NHWC", divide=255.0, mean=(0.4, 0.5, 0.6), std=(0.2, 0.1, 0.3)), MANY),
    "series": (series, Preprocessing(layout="NTC", mean=(1.0, 2.0, -3.0), std=(1e-5, 1.0, 2.0)), NAMES),
    "fixed batch": (networks.ZOO["fixed_batch"], Preprocessing(layout="NHWC", divide=16.0), ()),
    "several outputs": (networks.several_outputs, Preprocessing(layout="NHWC", divide=255.0), NAMES),
    "several without names": (networks.several_outputs, Preprocessing(layout="NHWC", divide=255.0), ()),
}  # fmt: skip


@pytest.fixture(params=list(CASES))
def case(request, tmp_path):
    """A folder with the model and its class names, the usage, raw samples and the true scores."""
    make, preprocessing, names = CASES[request.param]
    data = make()
    profile = import_onnx(data).profile
    usage = Usage.of(profile, preprocessing, names)
    (tmp_path / "model.onnx").write_bytes(data)
    (tmp_path / CLASSES_FILE).write_text("".join(f"{name}\n" for name in names))
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 255, (usage.batch, *usage.raw_shape)).astype(np.float32)
    x = preprocessing.apply(raw, profile.input_shape)
    expected = [
        y.reshape(len(y), -1)
        for y in ort.InferenceSession(data).run(None, {usage.input_name: x})
    ]
    return tmp_path, usage, raw, x, np.concatenate(expected, axis=1)


def code(usage, name, files=("model.onnx",)):
    return next(s.code for s in snippets(usage, "model.onnx", files) if s.name == name)


def test_python_code_answers_as_the_model_does(case, monkeypatch, capsys):
    folder, usage, raw, _, expected = case
    monkeypatch.chdir(folder)
    scope = {"raw": raw}
    exec(code(usage, "python"), scope)
    found = scope["outputs"] if usage.has_several else [scope["scores"]]
    joined = np.concatenate([y.reshape(len(y), -1) for y in found], axis=1)
    np.testing.assert_allclose(joined, expected, rtol=1e-4, atol=1e-5)
    scores = expected[:, : len(usage.class_names)]  # the first output holds them
    names = [usage.class_names[i] for i in scores.argmax(1)] if usage.class_names else []
    assert capsys.readouterr().out == (f"{names}\n" if names else "")


def header_folder(header, variable, package):
    """Where a C++ header lies: the folder that the variable names, or where Debian puts it."""
    places = [os.environ.get(variable), "/usr/include/onnxruntime", "/usr/include"]
    for place in filter(None, places):
        if (Path(place) / header).is_file():
            return place
    pytest.skip(f"no {header}: install {package} or set {variable}")
    return None


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_cpp_code_answers_as_the_model_does(case):
    folder, usage, raw, _, expected = case
    include = header_folder(
        "onnxruntime_cxx_api.h", "ONNXRUNTIME_INCLUDE", "libonnxruntime-dev"
    )
    library = next((Path(ort.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    show = "std::puts(answer(raw).c_str());" if usage.class_names else ""
    found = "outputs(prepared(raw))" if usage.has_several else "{scores(prepared(raw))}"
    main = (
        "#include <cstdio>\n"
        "int main() {\n"
        f"  std::vector<float> raw({raw.size});\n"
        '  std::fread(raw.data(), 4, raw.size(), std::fopen("raw", "rb"));\n'
        f"  const std::vector<std::vector<float>> found = {found};\n"
        '  for (auto& values : found) for (float value : values) std::printf("%.9g ", value);\n'
        f'  std::puts(""); {show}\n'
        "}\n"
    )
    (folder / "main.cpp").write_text(f"{code(usage, 'cpp')}\n{main}")
    raw.astype(np.float32).tofile(folder / "raw")
    (folder / "libonnxruntime.so.1").symlink_to(library)
    subprocess.run(
        ["g++", "-std=c++17", "-O0", "-I", include, "main.cpp", library, "-o", "main"],
        cwd=folder,
        check=True,
        timeout=200,
    )
    run = subprocess.run(
        [folder / "main"],
        cwd=folder,
        env={"LD_LIBRARY_PATH": f"{folder}:{library.parent}"},
        capture_output=True,
        text=True,
        check=True,
    )
    numbers, *answer = run.stdout.splitlines()
    found = np.array(numbers.split(), np.float32).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    scores = expected[0, : len(usage.class_names)]
    assert answer == ([usage.class_names[scores.argmax()]] if usage.class_names else [])


@pytest.mark.parametrize(
    ("name", "file"), [("litert", "model.tflite"), ("executorch", "model.pte")]
)
def test_code_of_other_formats_answers_as_the_model_does(tmp_path, name, file):
    form = next(form for form in FORMATS if form.name == name)
    if not form.installed:
        pytest.skip(f"{form.title} is not installed here: make extra-{name}")
    make, preprocessing, names = CASES["colour images"]
    data = make()
    usage = Usage.of(import_onnx(data).profile, preprocessing, names)
    raw = np.random.default_rng(0).integers(0, 255, (1, *usage.raw_shape)).astype(np.float32)
    x = preprocessing.apply(raw, usage.input_shape)
    expected = onnx_logits(data, x)
    for path, content in converted(form, data, x, expected).files.items():
        (tmp_path / path).write_bytes(content)
    (tmp_path / CLASSES_FILE).write_text("".join(f"{name}\n" for name in names))
    np.save(tmp_path / "raw.npy", raw)
    program = f"import numpy as np\nraw = np.load('raw.npy')\n{code(usage, name, [file])}\n"
    run = subprocess.run(
        [form.python, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == str([names[expected[0].argmax()]])


def test_kotlin_code_holds_the_real_names_shapes_and_values(case):
    _, usage, _, x, _ = case
    text = code(usage, "android")
    shape = ", ".join(map(str, x.shape))
    assert f"longArrayOf({shape})" in text
    assert f"FloatArray({x.size})" in text
    assert f'mapOf("{usage.input_name}" to input)' in text
    assert text.count("{") == text.count("}")
    if usage.class_names == NAMES:
        assert r'listOf("a \"quoted\" one", "back\\slash", "\$dollar", "Grüße")' in text


def test_ncnn_code_feeds_width_height_and_channels():
    usage = Usage(input_name="x", input_shape=(3, 24, 32), output_names=("y",))
    text = code(usage, "ncnn", ["model.onnx", "model.ncnn.param", "model.ncnn.bin"])
    assert ".reshape(32, 24, 3)" in text
    assert 'load_param("model.ncnn.param")' in text
    assert 'load_model("model.ncnn.bin")' in text


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", list(CASES))
def test_ncnn_code_is_valid_cpp(name, tmp_path):
    include = header_folder("ncnn/net.h", "NCNN_INCLUDE", "libncnn-dev")
    make, preprocessing, names = CASES[name]
    usage = Usage.of(import_onnx(make()).profile, preprocessing, names)
    text = code(usage, "ncnn", ["model.onnx", "model.ncnn.param"])
    (tmp_path / "main.cpp").write_text(text)
    command = [
        "g++",
        "-std=c++17",
        "-fsyntax-only",
        "-Wall",
        "-Werror",
        "-I",
        include,
        "main.cpp",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=200)


def test_names_that_do_not_fit_the_outputs_are_left_out():
    profile = import_onnx(networks.small_lenet()).profile
    assert Usage.of(profile, Preprocessing(), ("one", "two")).class_names == ()
