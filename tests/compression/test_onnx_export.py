from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper

from compression.errors import VerificationError
from compression.graph import Network
from compression.onnx_export import export_onnx, opset_note, single_op_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.types import OpSpec, Precision
from tests.networks import ZOO, OnnxBuilder, lenet, resnet, small_lenet
from tests.zoo_graphs import of_today


def inputs(network: Network, n: int = 8) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def imported(name: str, precision: Precision = Precision.FP32) -> Network:
    return replace(import_onnx(ZOO[name]()), precision=precision)


def optimised_ops(data: bytes, folder) -> Counter:
    """What ONNX Runtime makes of a file when it loads it."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    model = onnx.load(folder / "optimised.onnx")
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("name", ZOO)
def test_export_computes_the_same(name):
    network = imported(name)
    data = export_onnx(network)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert verify_export(data, network, inputs(network)) <= 1e-5


@pytest.mark.parametrize("name", ZOO)
def test_export_can_be_imported_again(name):
    first = imported(name).profile
    second = import_onnx(export_onnx(imported(name))).profile
    assert (second.macs, second.params) == (first.macs, first.params)
    weighted = [row.name for row in first.layers if row.op in ("conv", "dense")]
    assert [row.name for row in second.layers if row.op in ("conv", "dense")] == weighted


@pytest.mark.parametrize("name", ZOO)
def test_export_is_not_larger_than_the_upload(name):
    assert len(export_onnx(imported(name))) <= len(ZOO[name]())


@pytest.mark.parametrize("name", ZOO)
def test_export_is_deterministic(name):
    assert export_onnx(imported(name)) == export_onnx(imported(name))


def test_interface_is_the_uploads():
    model = onnx.load_from_string(export_onnx(import_onnx(lenet(batch="n", opset=12))))
    (source,), (target,) = model.graph.input, model.graph.output
    assert (source.name, target.name) == ("input", "logits")
    assert [d.dim_param or d.dim_value for d in source.type.tensor_type.shape.dim] == [
        "n",
        1,
        28,
        28,
    ]
    assert [d.dim_param or d.dim_value for d in target.type.tensor_type.shape.dim] == ["n", 10]
    assert model.opset_import[0].version == 12


def test_fixed_batch_stays_fixed():
    model = onnx.load_from_string(export_onnx(imported("fixed_batch")))
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 13, 17, 20])
def test_old_and_new_opsets(opset):
    network = import_onnx(lenet(opset=opset))
    data = export_onnx(network)
    assert onnx.load_from_string(data).opset_import[0].version == opset
    assert verify_export(data, network, inputs(network)) <= 1e-5


def test_pads_are_given_back_to_the_layers_they_came_from():
    ops = [
        n.op_type
        for n in onnx.load_from_string(export_onnx(imported("exporter_style"))).graph.node
    ]
    assert "Pad" not in ops
    assert ops.count("Conv") == 1


def test_file_holds_nothing_but_what_a_runtime_needs():
    model = onnx.load_from_string(export_onnx(imported("resnet")))
    assert not model.metadata_props
    assert not model.graph.value_info
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    assert all(len(tensor.name) <= 3 for tensor in model.graph.initializer)


@pytest.mark.parametrize("precision", Precision)
def test_fixed_batch_of_several_is_filled_and_compared(precision):
    network = replace(import_onnx(lenet(batch=4)), precision=precision)
    data = export_onnx(network, inputs(network, 9))
    assert 0 < verify_export(data, network, inputs(network, 2)) < 0.1
    broken = replace(network, module=import_onnx(lenet(batch=4, seed=1)).module)
    with pytest.raises(VerificationError):
        verify_export(data, broken, inputs(network, 2), tolerance=0.01)


# --- 8-bit weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ZOO)
def test_int8_weights_compute_what_rounded_weights_compute(name):
    network = imported(name, Precision.INT8_WEIGHTS)
    data = export_onnx(network)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert verify_export(data, network, inputs(network)) <= 1e-5


def test_int8_weights_make_the_file_nearly_four_times_smaller():
    assert len(lenet()) / len(export_onnx(imported("lenet", Precision.INT8_WEIGHTS))) > 3.8


def test_small_weights_stay_float_where_eight_bits_would_not_pay():
    data = export_onnx(imported("exporter_style", Precision.INT8_WEIGHTS))
    kinds = {tuple(t.dims): t.data_type for t in onnx.load_from_string(data).graph.initializer}
    assert kinds[(3, 128)] == onnx.TensorProto.INT8
    assert kinds[(3,)] == onnx.TensorProto.FLOAT


def test_onnxruntime_folds_int8_weights_when_it_loads_them(tmp_path):
    whole = optimised_ops(export_onnx(imported("lenet")), tmp_path)
    stored = optimised_ops(export_onnx(imported("lenet", Precision.INT8_WEIGHTS)), tmp_path)
    assert stored == whole


# --- 8-bit arithmetic -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ZOO)
def test_int8_stays_near_the_network(name):
    network = imported(name, Precision.INT8)
    x = inputs(network, 32)
    data = export_onnx(network, x)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert verify_export(data, network, x) <= 0.1


def test_int8_adds_up_where_a_processor_could_overflow():
    """Large inputs on equal weights: without care x86 before VNNI computes half of what is right."""
    b = OnnxBuilder(8, 8, 8)
    x = b.op("Conv", "x", b.const(np.full((8, 8, 3, 3), 0.5, np.float32)), kernel_shape=[3, 3])
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    network = replace(import_onnx(b.build(b.dense(x, "fc", 8, 3), 3)), precision=Precision.INT8)
    inputs_ = np.random.default_rng(0).uniform(0.8, 1.0, (8, 8, 8, 8)).astype(np.float32)
    data = export_onnx(network, inputs_)
    assert verify_export(data, network, inputs_) <= 0.03


def test_int8_of_many_layers_that_share_a_bias():
    # more tensors than letters: what a layer writes is called as the quantiser calls a bias' copy
    b = OnnxBuilder(8, 6, 6)
    x, bias = "input", b.const(np.zeros(8, np.float32), "shared")
    for index in range(30):
        weight = (1 + 0.001 * index) * np.eye(8, dtype=np.float32)[:, :, None, None]
        x = b.op("Conv", x, b.const(weight, f"w{index}"), bias, name=f"conv{index}")
        x = x if index else b.relu(x)
    network = replace(import_onnx(b.build(x, (8, 6, 6))), precision=Precision.INT8)
    x = inputs(network, 16)
    data = export_onnx(network, x)
    assert verify_export(data, network, x) <= 0.1


def test_int8_runs_on_integer_kernels(tmp_path):
    network = imported("lenet", Precision.INT8)
    ops = optimised_ops(export_onnx(network, inputs(network)), tmp_path)
    assert ops["QLinearConv"] == 2
    assert ops["QGemm"] == 3
    assert not ops["Conv"] + ops["Gemm"] + ops["FusedConv"]


def test_int8_file_is_compact():
    network = imported("lenet", Precision.INT8)
    data = export_onnx(network, inputs(network))
    assert len(lenet()) / len(data) > 3.7
    model = onnx.load_from_string(data)
    assert not model.metadata_props
    assert not model.graph.value_info
    stored = [(t.data_type, tuple(t.dims), t.raw_data) for t in model.graph.initializer]
    assert len(set(stored)) == len(stored)


def test_int8_keeps_scores_in_float():
    network = imported("lenet", Precision.INT8)
    model = onnx.load_from_string(export_onnx(network, inputs(network)))
    maker = next(n for n in model.graph.node if n.output[0] == "logits")
    assert maker.op_type == "Gemm"


def test_int8_of_an_old_opset_raises_it():
    network = replace(import_onnx(lenet(opset=9)), precision=Precision.INT8)
    data = export_onnx(network, inputs(network))
    assert onnx.load_from_string(data).opset_import[0].version == 13


@pytest.mark.parametrize(
    ("precision", "needed"), [(Precision.INT8, 13), (Precision.CODEBOOK, 11)]
)
def test_user_is_told_where_an_older_opset_had_to_be_raised(precision, needed):
    network = replace(import_onnx(lenet(opset=7)), precision=precision)
    data = export_onnx(network, inputs(network))
    assert f"operator set {needed}, where the upload has 7" in opset_note(data, network)
    verify_export(data, network, inputs(network))


@pytest.mark.parametrize(
    "precision", [Precision.FP32, Precision.FP16_WEIGHTS, Precision.INT8_WEIGHTS]
)
def test_nothing_is_said_where_the_opset_survives(precision):
    network = replace(import_onnx(lenet(opset=7)), precision=precision)
    data = export_onnx(network)
    assert onnx.load_from_string(data).opset_import[0].version == 7
    assert opset_note(data, network) == ""
    verify_export(data, network, inputs(network))


@pytest.mark.parametrize("make", [lenet, of_today])
def test_int8_of_the_newest_opset_is_one_that_the_runtime_computes(make):
    network = replace(import_onnx(make(opset=28)), precision=Precision.INT8)
    x = inputs(network, 24)
    data = export_onnx(network, x)
    assert verify_export(data, network, x) <= 0.1
    assert "operator set 27, where the upload has 28: ONNX Runtime" in opset_note(data, network)


def test_int8_without_calibration_is_refused():
    with pytest.raises(ValueError, match="calibration"):
        export_onnx(imported("lenet", Precision.INT8))


# --- verification ---------------------------------------------------------------------------------


def test_changed_file_does_not_pass_verification():
    network = imported("small_lenet")
    model = onnx.load_from_string(export_onnx(network))
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 2)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.1, tensor.name))
    with pytest.raises(VerificationError, match="differs from the network"):
        verify_export(model.SerializeToString(), network, inputs(network))


def test_broken_file_does_not_pass_verification():
    network = imported("small_lenet")
    with pytest.raises(VerificationError, match="does not load"):
        verify_export(export_onnx(network)[:-200], network, inputs(network))


def test_values_that_are_not_numbers_do_not_pass_verification():
    network = imported("small_lenet")
    module = network.copied_module()
    with torch.no_grad():
        module.fc2.bias[0] = float("nan")
    broken = replace(network, module=module)
    with pytest.raises(VerificationError, match="not numbers"):
        verify_export(export_onnx(broken), broken, inputs(network))


def test_export_leaves_the_network_as_it_was():
    network = imported("densenet", Precision.INT8_WEIGHTS)
    before = {key: value.clone() for key, value in network.module.state_dict().items()}
    verify_export(export_onnx(network), network, inputs(network))
    after = network.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


# --- one operation --------------------------------------------------------------------------------

OPS = {
    "conv": OpSpec(
        op="conv",
        in_shape=(8, 9, 9),
        out_shape=(16, 5, 5),
        kernel=(3, 3),
        stride=(2, 2),
        padding=(1, 1),
    ),
    "conv_1d": OpSpec(
        op="conv", in_shape=(6, 32), out_shape=(8, 28), kernel=(5,), stride=(1,), padding=(0,)
    ),
    "depthwise": OpSpec(
        op="conv",
        in_shape=(8, 6, 6),
        out_shape=(8, 6, 6),
        kernel=(3, 3),
        stride=(1, 1),
        padding=(1, 1),
        groups=8,
    ),
    "dense": OpSpec(op="dense", in_shape=(40,), out_shape=(10,)),
    "max_pool": OpSpec(
        op="max_pool", in_shape=(4, 8, 8), out_shape=(4, 4, 4), kernel=(2, 2), stride=(2, 2)
    ),
    "rounded_up_pool": OpSpec(
        op="average_pool", in_shape=(4, 7, 7), out_shape=(4, 4, 4), kernel=(2, 2), stride=(2, 2)
    ),
    "global": OpSpec(op="average_pool", in_shape=(4, 8, 8), out_shape=(4, 1, 1)),
    "add": OpSpec(op="add", in_shape=(4, 8, 8), out_shape=(4, 8, 8)),
    "concat": OpSpec(op="concat", in_shape=(4, 8, 8), out_shape=(12, 8, 8)),
    "dilated": OpSpec(
        op="conv",
        in_shape=(8, 9, 9),
        out_shape=(4, 5, 5),
        kernel=(3, 3),
        stride=(1, 1),
        padding=(0, 0),
    ),
    "tokens": OpSpec(op="concat", in_shape=(9, 16), out_shape=(10, 16)),
    "transposed": OpSpec(
        op="transposed_conv",
        in_shape=(8, 5, 5),
        out_shape=(4, 10, 10),
        kernel=(3, 3),
        stride=(2, 2),
    ),
    "matmul": OpSpec(op="matmul", in_shape=(2, 10, 8), out_shape=(2, 10, 12)),
    "softmax": OpSpec(op="softmax", in_shape=(2, 10, 10), out_shape=(2, 10, 10)),
    "layer_norm": OpSpec(op="layer_norm", in_shape=(10, 16), out_shape=(10, 16)),
    "resize": OpSpec(op="resize", in_shape=(4, 5, 5), out_shape=(4, 10, 10)),
    "mean": OpSpec(op="elementwise", in_shape=(10, 16), out_shape=(16,)),
    "relu": OpSpec(op="elementwise", in_shape=(4, 8, 8), out_shape=(4, 8, 8)),
}
KERNELS = {
    "conv": "QLinearConv",
    "conv_1d": "QLinearConv",
    "depthwise": "QLinearConv",
    "dense": "QGemm",
    "add": "QLinearAdd",
    "concat": "QLinearConcat",
    "global": "QLinearGlobalAveragePool",
}


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
@pytest.mark.parametrize("name", OPS)
def test_single_operation_runs_at_its_shapes(name, precision):
    op = OPS[name]
    session = ort.InferenceSession(
        single_op_onnx(op, precision), providers=["CPUExecutionProvider"]
    )
    dtype = np.uint8 if precision is Precision.INT8 else np.float32
    (result,) = session.run(None, {"x": np.ones(session.get_inputs()[0].shape, dtype)})
    assert result.shape == (1, *op.out_shape)


@pytest.mark.parametrize("name", KERNELS)
def test_single_operation_in_int8_runs_the_integer_kernel(name, tmp_path):
    ops = optimised_ops(single_op_onnx(OPS[name], Precision.INT8), tmp_path)
    assert ops[KERNELS[name]] == 1
    assert not ops["DequantizeLinear"] + ops["QuantizeLinear"]


def test_single_operation_of_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="transformer"):
        single_op_onnx(OpSpec(op="transformer", in_shape=(1,), out_shape=(1,)), Precision.FP32)


def test_residual_network_needs_no_more_nodes_than_the_upload():
    exported = onnx.load_from_string(export_onnx(import_onnx(resnet())))
    assert len(exported.graph.node) <= len(onnx.load_from_string(resnet()).graph.node)


def test_small_network_in_eight_bits_is_small():
    network = replace(import_onnx(small_lenet()), precision=Precision.INT8_WEIGHTS)
    assert len(export_onnx(network)) < len(small_lenet()) / 3.3
