"""Kotlin and C++ that run a finished model: values one by one, in the model's own order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression.usage import CLASSES_FILE, listed, quoted

if TYPE_CHECKING:
    from compression.usage import Usage


def android(usage: Usage, model: str) -> str:
    """ONNX Runtime in Kotlin; ``raw`` holds the values as they lie in the data, one after another."""
    way = usage.preprocessing
    shape = ", ".join(f"{size}" for size in (usage.batch, *usage.input_shape))
    total = usage.batch * usage.values
    return "\n".join(
        [
            '// build.gradle.kts: implementation("com.microsoft.onnxruntime:onnxruntime-android:1.+")',
            "import ai.onnxruntime.OnnxTensor",
            "import ai.onnxruntime.OrtEnvironment",
            "import android.content.res.AssetManager",
            "import java.nio.FloatBuffer",
            "",
            "class Model(assets: AssetManager) {",
            "    private val environment = OrtEnvironment.getEnvironment()",
            f"    private val session = environment.createSession(assets.open({_kotlin(model)}).readBytes())",
            *(f"    {line}" for line in _kotlin_classes(usage)),
            "",
            f"    /** {_raw_words(usage)} */",
            f"    fun run(raw: FloatArray): {_kotlin_type(usage)} {{",
            f"        val mean = floatArrayOf({listed(usage.per_channel(way.mean), 'f')})",
            f"        val deviation = floatArrayOf({listed(usage.per_channel(way.std), 'f')})",
            f"        val x = FloatArray({total}) {{ i ->",
            f"            val c = i / {usage.positions} % {usage.channels}",
            f"            (raw[{_raw_index(usage)}] / {way.divide:.9g}f - mean[c]) / deviation[c]",
            "        }",
            f"        OnnxTensor.createTensor(environment, FloatBuffer.wrap(x), longArrayOf({shape})).use {{ input ->",
            f"            session.run(mapOf({_kotlin(usage.input_name)} to input)).use {{ outputs ->",
            *(f"                {line}" for line in _kotlin_scores(usage)),
            f"                return {_kotlin_answer(usage)}",
            "            }",
            "        }",
            "    }",
            "}",
        ]
    )


def cpp(usage: Usage, model: str) -> str:
    """ONNX Runtime in C++17; ``raw`` holds the values as they lie in the data."""
    shape = ", ".join(str(size) for size in (usage.batch, *usage.input_shape))
    rank = 1 + len(usage.input_shape)
    return "\n".join(
        [
            "// g++ -std=c++17 FILE.cpp -lonnxruntime",
            "#include <onnxruntime_cxx_api.h>",
            *_cpp_start(usage),
            *_cpp_head(usage),
            "  static Ort::Env environment;",
            f"  static Ort::Session session(environment, ORT_TSTR({quoted(model)}), Ort::SessionOptions{{}});",
            f"  const int64_t shape[] = {{{shape}}};",
            f"  const char* inputs[] = {{{quoted(usage.input_name)}}};",
            f"  const char* names[] = {{{usage.quoted_outputs}}};",
            "  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);",
            f"  auto input = Ort::Value::CreateTensor<float>(memory, x.data(), x.size(), shape, {rank});",
            f"  auto found = session.Run(Ort::RunOptions{{nullptr}}, inputs, &input, 1, names, {len(usage.output_names)});",
            *_cpp_tail(usage),
            "}",
            *_cpp_answer(usage),
        ]
    )


def _cpp_head(usage: Usage) -> list[str]:
    if not usage.has_several:
        return ["std::vector<float> scores(std::vector<float> x) {"]
    return [
        f"// One vector for each of {', '.join(map(_one_line, usage.output_names))}.",
        "std::vector<std::vector<float>> outputs(std::vector<float> x) {",
    ]


def _cpp_tail(usage: Usage) -> list[str]:
    """From what the session found to vectors."""
    first = "found[0].GetTensorData<float>()"
    if not usage.has_several:
        return [
            f"  const float* first = {first};",
            "  return {first, first + found[0].GetTensorTypeAndShapeInfo().GetElementCount()};",
        ]
    return [
        "  std::vector<std::vector<float>> values;",
        "  for (auto& output : found) {",
        "    const float* first = output.GetTensorData<float>();",
        "    values.emplace_back(first, first + output.GetTensorTypeAndShapeInfo().GetElementCount());",
        "  }",
        "  return values;",
    ]


def ncnn(usage: Usage, param: str) -> str:
    """Ncnn in C++, one sample at a time."""
    size = ", ".join(str(size) for size in reversed(usage.input_shape))
    weights = param.removesuffix(".param") + ".bin"
    return "\n".join(
        [
            "// g++ -std=c++17 FILE.cpp -lncnn -fopenmp",
            "#include <ncnn/net.h>",
            *_cpp_start(usage, batch=1),
            "std::vector<float> scores(std::vector<float> x) {",
            "  static ncnn::Net net;",
            "  static const bool loaded =",
            f"      !net.load_param({quoted(param)}) && !net.load_model({quoted(weights)});",
            "  if (!loaded) return {};",
            f"  const ncnn::Mat input = ncnn::Mat(int(x.size()), x.data()).reshape({size});",
            "  ncnn::Mat output;",
            "  auto extractor = net.create_extractor();",
            '  extractor.input("in0", input);',
            '  extractor.extract("out0", output);',
            "  output = output.reshape(int(output.w * output.h * output.c));",
            "  return {(const float*)output, (const float*)output + output.w};",
            "}",
            *_cpp_answer(usage),
        ]
    )


def _raw_words(usage: Usage, batch: int | None = None) -> str:
    samples = usage.batch if batch is None else batch
    many = f"{samples} samples one after another, each " if samples > 1 else "One sample: "
    return f"{many}{usage.raw_words}."


def _raw_index(usage: Usage) -> str:
    """Where value ``i`` of the model's input lies in the data."""
    if not usage.channels_last or usage.channels == 1:
        return "i"
    inside = f"i % {usage.positions} * {usage.channels} + c"
    return f"i / {usage.values} * {usage.values} + {inside}" if usage.batch > 1 else inside


def _cpp_start(usage: Usage, batch: int | None = None) -> list[str]:
    """Includes, classes and the function from raw values to model-ready ones."""
    way = usage.preprocessing
    samples = usage.batch if batch is None else batch
    reads_file = usage.class_names and not usage.inline_classes
    return [
        "#include <algorithm>",
        *(["#include <fstream>"] if reads_file else []),
        "#include <string>",
        "#include <vector>",
        "",
        *_cpp_classes(usage),
        f"// {_raw_words(usage, samples)}",
        "std::vector<float> prepared(const std::vector<float>& raw) {",
        f"  const float mean[] = {{{listed(usage.per_channel(way.mean))}}};",
        f"  const float deviation[] = {{{listed(usage.per_channel(way.std))}}};",
        f"  std::vector<float> x({samples * usage.values});",
        "  for (size_t i = 0; i < x.size(); ++i) {",
        f"    const size_t c = i / {usage.positions} % {usage.channels};",
        f"    x[i] = (raw[{_raw_index(usage)}] / float({way.divide:.9g}) - mean[c]) / deviation[c];",
        "  }",
        "  return x;",
        "}",
        "",
    ]


def _cpp_classes(usage: Usage) -> list[str]:
    if usage.inline_classes:
        names = ", ".join(map(quoted, usage.class_names))
        return [f"const std::vector<std::string> classes = {{{names}}};", ""]
    if not usage.class_names:
        return []
    return [
        "std::vector<std::string> read_classes() {",
        f"  std::ifstream file({quoted(CLASSES_FILE)});",
        "  std::vector<std::string> names;",
        "  for (std::string line; std::getline(file, line);) names.push_back(line);",
        "  return names;",
        "}",
        "const std::vector<std::string> classes = read_classes();",
        "",
    ]


def _cpp_answer(usage: Usage) -> list[str]:
    if not usage.class_names:
        return []
    count = len(usage.class_names)
    return [
        "",
        "std::string answer(const std::vector<float>& raw) {",
        f"  const auto found = {_cpp_scores(usage)};",
        f"  return classes[std::max_element(found.begin(), found.begin() + {count}) - found.begin()];",
        "}",
    ]


def _cpp_scores(usage: Usage) -> str:
    return (
        f"outputs(prepared(raw))[{usage.judged}]"
        if usage.has_several
        else "scores(prepared(raw))"
    )


def _kotlin_type(usage: Usage) -> str:
    if usage.class_names:
        return "String"
    return "Map<String, FloatArray>" if usage.has_several else "FloatArray"


def _kotlin_scores(usage: Usage) -> list[str]:
    """From what the session found to arrays: the scores, or all outputs by name."""
    copied = "floatBuffer.let { b -> FloatArray(b.remaining()).also(b::get) }"
    if not usage.has_several:
        return [f"val scores = (outputs[0] as OnnxTensor).{copied}"]
    if usage.class_names:
        name = _kotlin(usage.output_names[usage.judged])
        return [f"val scores = (outputs.get({name}).get() as OnnxTensor).{copied}"]
    return [
        f"val scores = outputs.associate {{ (name, y) -> name to (y as OnnxTensor).{copied} }}"
    ]


def _kotlin_classes(usage: Usage) -> list[str]:
    if usage.inline_classes:
        names = ", ".join(map(_kotlin, usage.class_names))
        return [f"private val classes = listOf({names})"]
    if usage.class_names:
        return [
            f"private val classes = assets.open({_kotlin(CLASSES_FILE)}).bufferedReader().readLines()"
        ]
    return []


def _kotlin_answer(usage: Usage) -> str:
    if not usage.class_names:
        return "scores"
    return f"classes[(0 until {len(usage.class_names)}).maxByOrNull {{ scores[it] }}!!]"


def _one_line(text: str) -> str:
    """A name in a comment, which ends with the line."""
    return " ".join(text.split()).replace("\\", "/")


def _kotlin(text: str) -> str:
    """A Kotlin string literal: there a dollar sign starts a template."""
    return quoted(text).replace("$", "\\$")
