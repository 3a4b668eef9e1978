import contextlib
import io
import json
import pickle  # noqa: TID251 - makes the upload that must not be opened
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from compression.channel_rules import ELEMENTWISE, PER_CHANNEL, PER_POSITION
from compression.errors import ModelRefusedError
from compression.graph import each_output
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.onnx_operators import CONVERTERS
from tests.networks import ZOO, OnnxBuilder, lenet, mlp, resnet, small_lenet

SHARED = Path(__file__).resolve().parents[3] / "shared"
ABSENT = pytest.param(Path(), marks=pytest.mark.skip("no ../shared next to the repository"))
TRAINED = sorted([*SHARED.glob("models/*.onnx"), *SHARED.glob("base/*/*.onnx")]) or [ABSENT]


def relative_difference(data: bytes, batch: int) -> float:
    network = import_onnx(data)
    x = np.random.default_rng(1).standard_normal((batch, *network.profile.input_shape))
    x = x.astype(np.float32)
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    expected = session.run(None, {network.profile.input_name: x})
    with torch.no_grad():
        found = [y.numpy() for y in each_output(network.module(torch.from_numpy(x)))]
    pairs = zip(found, expected, strict=True)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


@pytest.mark.parametrize("name", ZOO)
def test_zoo_network_computes_what_onnxruntime_computes(name):
    assert relative_difference(ZOO[name](), 1 if name == "fixed_batch" else 5) <= 1e-4


@pytest.mark.parametrize("path", TRAINED, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_trained_network_computes_what_onnxruntime_computes(path):
    assert relative_difference(path.read_bytes(), 4) <= 1e-4


@pytest.mark.parametrize("name", ZOO)
def test_node_target_and_layer_share_one_identifier(name):
    network = import_onnx(ZOO[name]())
    names = [layer.name for layer in network.profile.layers]
    assert len(set(names)) == len(names)
    assert all(layer.isidentifier() and layer.isascii() for layer in names)
    for node in network.module.graph.nodes:
        if node.op == "call_module":
            assert node.name == node.target
    assert set(network.outputs_of) == set(names)
    assert all(output.node == layer for layer, output in network.outputs_of.items())


def test_layers_are_named_after_their_weights():
    names = {layer.name for layer in import_onnx(resnet()).profile.layers}
    assert {"conv1", "layer1_0_conv1", "layer2_0_downsample", "fc"} <= names


def test_layers_are_named_after_their_nodes_when_weights_have_no_names():
    model = onnx.load_from_string(lenet())
    for index, tensor in enumerate(model.graph.initializer):
        for node in model.graph.node:
            node.input[:] = [
                f"onnx::Conv_{index}" if n == tensor.name else n for n in node.input
            ]
        tensor.name = f"onnx::Conv_{index}"
    names = {layer.name for layer in import_onnx(model.SerializeToString()).profile.layers}
    assert {"conv1", "conv2", "fc1", "fc3"} <= names


def test_layers_of_keras_are_named_without_what_tensorflow_wraps_around_them():
    stored = Path(__file__).parents[1] / "data" / "exported" / "keras_plain.onnx"
    layers = import_onnx(stored.read_bytes()).profile.layers
    weighted = [layer.name for layer in layers if layer.kind.value != "other"]
    assert weighted == ["conv2d_1", "conv2d_1_2", "dense_1", "scores_1"]


def test_names_of_python_and_of_modules_are_avoided():
    b = OnnxBuilder(4)
    x = b.dense("x", "forward", 4, 4)
    x = b.dense(x, "lambda", 4, 4)
    network = import_onnx(b.build(b.dense(x, "training", 4, 2), 2, input_name="input"))
    assert [layer.name for layer in network.profile.layers] == [
        *("forward_1", "lambda_1", "training_1")
    ]


def test_layers_of_endless_names_are_told_apart_by_short_ones():
    b, word = OnnxBuilder(4), "block." * 200_000
    x = b.dense("x", f"{word}first", 4, 4)
    x = b.dense(x, f"{word}second", 4, 2)
    network = import_onnx(b.build(x, 2, input_name="input", output_name=f"{word}out"))
    names = [layer.name for layer in network.profile.layers]
    assert len(set(names)) == 2
    assert max(map(len, names)) < 130
    exported = export_onnx(network)
    assert [o.name for o in onnx.load_from_string(exported).graph.output] == [f"{word}out"]


def test_batch_norms_are_folded():
    network = import_onnx(resnet())
    assert not [layer for layer in network.profile.layers if layer.op == "batch_norm"]
    assert network.profile.layer("conv1").bias


def test_batch_norm_before_a_convolution_stays():
    ops = [layer.op for layer in import_onnx(ZOO["densenet"]()).profile.layers]
    assert ops.count("batch_norm") == 4


def test_matmul_and_add_become_one_dense_layer():
    layers = import_onnx(mlp()).profile.layers
    assert [layer.op for layer in layers] == ["dense", "tanh", "dense", "tanh", "dense"]
    assert [layer.bias for layer in layers if layer.op == "dense"] == [True] * 3


def test_dropout_and_identity_vanish():
    ops = {layer.op for layer in import_onnx(ZOO["alexnet"]()).profile.layers}
    assert not ops & {"dropout", "identity"}


def test_shape_arithmetic_vanishes():
    ops = [layer.op for layer in import_onnx(ZOO["exporter_style"]()).profile.layers]
    assert ops == ["batch_norm", "pad", "conv", "relu", "flatten", "dense"]


def test_interface_is_kept():
    profile = import_onnx(lenet(batch="n", opset=13), name="digits").profile
    assert (profile.name, profile.input_name, profile.output_names) == (
        "digits",
        "input",
        ("logits",),
    )
    assert (profile.input_shape, profile.opset) == ((1, 28, 28), 13)
    assert (profile.dynamic_batch, profile.batch) == (True, "n")


def test_fixed_batch_is_told():
    profile = import_onnx(ZOO["fixed_batch"]()).profile
    assert (profile.dynamic_batch, profile.batch) == (False, 1)


def test_batch_written_into_a_reshape_is_told():
    model = onnx.load_from_string(ZOO["fixed_batch"]())
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    profile = import_onnx(model.SerializeToString()).profile
    assert (profile.dynamic_batch, profile.batch) == (False, 1)


def test_same_file_gives_same_weights():
    first, second = (import_onnx(resnet()).module.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_weights_can_be_trained():
    module = import_onnx(small_lenet()).module
    module(torch.zeros(2, 1, 12, 12)).sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in module.parameters())


def test_no_layer_of_the_vocabulary_is_unknown_to_the_channel_groups():
    for make in ZOO.values():
        network = import_onnx(make())
        for layer in network.profile.layers:
            if layer.op in ("relu", "max_pool", "batch_norm", "hard_swish"):
                module = network.module.get_submodule(layer.name)
                assert isinstance(module, ELEMENTWISE + PER_CHANNEL + PER_POSITION)


def test_transpose_before_the_head_is_folded_into_it():
    profile = import_onnx(ZOO["channels_last"]()).profile
    assert [row.op for row in profile.layers].count("transpose") == 1
    head = profile.layer("dense")
    assert (head.in_channels, head.in_multiplier) == (8, 16)
    assert profile.groups[profile.layer("conv").out_group].prunable


def test_window_over_everything_is_a_global_pool():
    for pads in ([0, 0, 0, 0], [0, 0, 1, 1]):
        b = OnnxBuilder(2, 7 - pads[3], 7 - pads[3])
        x = b.op("AveragePool", "x", kernel_shape=[7, 7], pads=pads)
        data = b.build(b.op("Flatten", x), 2)
        assert import_onnx(data).profile.layers[0].op == "global_average_pool"
        assert relative_difference(data, 3) <= 1e-4


def test_pool_that_reaches_over_the_end_averages_what_is_there():
    b = OnnxBuilder(2, 7, 7)
    x = b.op("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    assert relative_difference(b.build(b.op("Flatten", x), 18), 3) <= 1e-4


def test_pools_that_round_up():
    for op, kind in (
        ("MaxPool", {}),
        ("AveragePool", {}),
        ("AveragePool", {"count_include_pad": 1}),
    ):
        b = OnnxBuilder(2, 8, 8)
        window = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
        x = b.op(op, b.conv("x", "conv", 2, 2, 1), **window, **kind)
        assert relative_difference(b.build(b.op("Flatten", x), 32), 3) <= 1e-4


# --- refusals -------------------------------------------------------------------------------------


def refusal(data: bytes) -> str:
    with pytest.raises(ModelRefusedError) as caught:
        import_onnx(data)
    return str(caught.value)


def edited(change, data=None) -> bytes:
    model = onnx.load_from_string(data or small_lenet())
    change(model)
    return model.SerializeToString()


def zip_of(**files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_pickle_is_refused_and_not_opened(tmp_path):
    data = pickle.dumps(Payload(tmp_path / "ran"))
    text = refusal(data)
    assert "pickle" in text
    assert "torch.onnx.export" in text
    assert not (tmp_path / "ran").exists()


def test_pytorch_zip_is_refused_and_not_opened(tmp_path):
    data = zip_of(**{"archive__data.pkl": pickle.dumps(Payload(tmp_path / "ran"))})
    text = refusal(data)
    assert "PyTorch" in text
    assert "torch.onnx.export" in text
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello, I am a text", "not an ONNX file"),
        (b"\x08" + bytes(200), "cut off or damaged"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
        (bytes(4) + b"TFL3" + bytes(64), "TensorFlow Lite"),
        (len(b"{}").to_bytes(8, "little") + json.dumps({"a": 1}).encode(), "safetensors"),
        (zip_of(model__code__x="1", model__data="2"), "TorchScript"),
        (zip_of(**{"x.npy": "1"}), "NumPy archive"),
        (zip_of(readme="1"), "zip archive"),
        (b"PK\x03\x04 broken", "zip archive"),
    ],
)
def test_what_is_not_onnx_is_refused(data, words):
    assert words in refusal(data)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99, 0.9999])
def test_truncated_model_is_refused(share):
    data = small_lenet()
    assert "cut off or damaged" in refusal(data[: int(len(data) * share)])


def test_model_without_opset_is_refused():
    assert "operator set" in refusal(edited(lambda m: m.ClearField("opset_import")))


def test_old_opset_is_refused_with_advice():
    def change(model):
        model.opset_import[0].version = 6

    text = refusal(edited(change))
    assert "opset 6" in text
    assert "newer opset" in text


def test_opset_from_the_future_is_refused():
    def change(model):
        model.opset_import[0].version = 999

    text = refusal(edited(change))
    assert "opset 999" in text
    assert "older opset" in text


def test_what_onnxruntime_objects_to_is_passed_on_without_its_codes():
    def change(model):
        model.graph.node[0].attribute[0].name = "foo"

    assert refusal(edited(change)) == (
        "ONNX Runtime cannot load the model: operator Conv (node '/conv1/Conv'): "
        "Unrecognized attribute: foo for operator Conv."
    )


def test_node_that_reads_nothing_known_is_refused_by_name():
    def change(model):
        model.graph.node[0].input[0] = "nowhere"

    text = refusal(edited(change))
    assert "operator Conv (node '/conv1/Conv') reads 'nowhere'" in text


@pytest.mark.parametrize("word", [b"conv1.weight", b"/conv1/Conv", b"kernel_shape"])
def test_names_that_are_no_text_are_refused(word):
    data = small_lenet()
    assert word in data
    assert "cut off or damaged" in refusal(data.replace(word, b"\xff" * len(word)))


def test_refusal_prints_nothing(capfd):
    refusal(edited(lambda m: m.graph.node[0].input.append("conv1.bias")))
    assert capfd.readouterr() == ("", "")


def replace_first_relu(op_type, **attributes):
    def change(model):
        node = next(n for n in model.graph.node if n.op_type == "Relu")
        fresh = helper.make_node(op_type, node.input, node.output, name="culprit", **attributes)
        node.CopyFrom(fresh)

    return change


def test_random_numbers_are_refused_by_name():
    text = refusal(edited(replace_first_relu("RandomNormalLike")))
    assert "operator RandomNormalLike (node 'culprit') draws random numbers" in text


def test_post_processing_is_refused_with_advice():
    b = OnnxBuilder(4)
    positions = b.op("NonZero", b.relu("x"), name="culprit")
    text = refusal(b.build(b.op("Cast", positions, to=TensorProto.FLOAT), 4))
    assert "operator NonZero (node 'culprit')" in text
    assert "without this post-processing" in text


def test_control_flow_is_refused_by_name():
    body = helper.make_graph([], "body", [], [])
    for op_type, name in (("If", "then_branch"), ("Loop", "body"), ("Scan", "body")):
        text = refusal(edited(replace_first_relu(op_type, **{name: body})))
        assert f"operator {op_type} (node 'culprit')" in text
        assert "without branches or loops" in text


def test_custom_domain_is_refused_by_name():
    def change(model):
        node = model.graph.node[1]
        node.op_type, node.domain, node.name = "Magic", "com.example", "culprit"
        model.opset_import.append(helper.make_opsetid("com.example", 1))

    text = refusal(edited(change))
    assert "operator Magic (node 'culprit')" in text
    assert "com.example" in text


def test_operator_whose_converter_stumbles_is_refused_by_name(monkeypatch):
    def stumble(network, node):
        return network.probe.shapes["nowhere"]

    monkeypatch.setitem(CONVERTERS, "Relu", stumble)
    text = refusal(edited(lambda model: setattr(model.graph.node[1], "name", "culprit")))
    assert "operator Relu (node 'culprit')" in text
    assert "not what this operator takes" in text


def test_clip_between_equal_bounds_is_refused_by_name():
    b = OnnxBuilder(4)
    bounds = (b.const(np.float32(0)), b.const(np.float32(0)))
    x = b.op("Clip", b.dense("x", "fc", 4, 4), *bounds, name="culprit")
    assert "operator Clip (node 'culprit')" in refusal(b.build(x, 4))


def test_model_of_foreign_operators_only_is_refused_by_name():
    def change(model):
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid("com.example", 1))
        del model.graph.node[1:]
        model.graph.node[0].domain = "com.example"

    assert "belongs to 'com.example'" in refusal(edited(change))


def test_model_local_function_is_refused():
    def change(model):
        opsets = [helper.make_opsetid("", 17)]
        body = [helper.make_node("Relu", ["a"], ["b"])]
        model.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], body, opsets))

    assert "Twice" in refusal(edited(change))


def test_quantised_model_is_refused_by_name():
    text = refusal(edited(replace_first_relu("QuantizeLinear")))
    assert "already quantised" in text
    assert "node 'culprit'" in text


def test_external_data_is_refused_and_never_followed(tmp_path):
    secret = tmp_path / "weights.bin"
    secret.write_bytes(bytes(1 << 16))

    def change(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", str(secret)

    text = refusal(edited(change))
    assert "external data" in text
    assert "one file" in text


def test_external_data_inside_a_constant_is_refused():
    def change(model):
        tensor = numpy_helper.from_array(np.zeros(3, np.float32), "t")
        tensor.data_location = TensorProto.EXTERNAL
        model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=tensor))

    assert "external data" in refusal(edited(change))


def test_several_inputs_are_refused_by_name():
    def change(model):
        extra = helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch", 4])
        model.graph.input.append(extra)

    text = refusal(edited(change))
    assert "2 inputs (input, mask)" in text


def test_input_of_another_type_is_refused():
    def change(model):
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8

    text = refusal(edited(change))
    assert "uint8" in text
    assert "float32" in text


def test_half_precision_weights_are_refused():
    def change(model):
        tensor = model.graph.initializer[0]
        values = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    assert "16-bit" in refusal(edited(change))


def test_halves_that_become_floats_at_once_are_still_never_read_from_elsewhere():
    def change(model):
        tensor = model.graph.initializer[0]
        name, values = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, "half"))
        cast = helper.make_node("Cast", ["half"], [name], to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)

    def elsewhere(model):
        change(model)
        entry = model.graph.initializer[0].external_data.add()
        entry.key, entry.value = "location", "/etc/passwd"

    assert import_onnx(edited(change)).profile.params
    assert "external data" in refusal(edited(elsewhere))


def test_open_input_size_is_refused_with_advice():
    def change(model):
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"

    text = refusal(edited(change))
    assert "[batch, 1, height, 12]" in text
    assert "fixed input size" in text


def test_not_a_number_in_weights_is_refused_by_name():
    def change(model):
        tensor = model.graph.initializer[0]
        values = numpy_helper.to_array(tensor).copy()
        values.flat[0] = np.nan
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    text = refusal(edited(change))
    assert "conv1.weight" in text
    assert "NaN" in text


def test_node_that_mixes_the_batch_is_refused_by_name():
    b = OnnxBuilder(4)
    mixed = b.op("MatMul", "x", b.op("Transpose", "x", perm=[1, 0]), name="mixer")
    text = refusal(b.build(b.op("MatMul", mixed, "x"), 4))
    assert "node 'mixer'" in text
    assert "batch" in text


def test_softmax_over_the_batch_is_refused_by_name():
    b = OnnxBuilder(4)
    text = refusal(b.build(b.op("Softmax", "x", axis=0, name="mixer"), 4))
    assert "answer for one sample depends on the other samples" in text


def test_model_that_ignores_its_input_is_refused():
    b = OnnxBuilder(4)
    x = b.op("Relu", b.const(np.zeros((1, 3), np.float32)))
    assert "does not depend on its input" in refusal(b.build(x, 3))


def test_model_larger_than_protobuf_allows_is_refused(monkeypatch):
    monkeypatch.setattr("compression.onnx_reading.MAX_BYTES", 1000)
    assert "at most 2 GiB" in refusal(small_lenet())


@pytest.mark.parametrize("name", ["small_lenet", "mobilenet", "exporter_style", "fixed_batch"])
def test_damaged_bytes_are_refused_or_read_but_never_crash(name):
    rng = np.random.default_rng(3)
    for _ in range(40):
        data = bytearray(ZOO[name]())
        for position in rng.integers(0, min(len(data), 1500), 3):
            data[position] = rng.integers(256)
        with contextlib.suppress(ModelRefusedError):
            import_onnx(bytes(data))
