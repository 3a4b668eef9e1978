from dataclasses import replace

import numpy as np
import pytest
import torch

from compression.distillation import Teacher
from compression.evaluation import onnx_log_probabilities
from compression.graph import joined
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_divergence, logits
from compression.student import Student, TrainingForm, brain_floats_pay
from compression.types import Precision
from compression.weight_rounding import (
    RoundedActivation,
    rounded_weights,
    rounding_offsets,
    stored_values,
)
from compression.weight_storage import rounded
from tests.networks import ZOO, lenet, resnet, small_lenet, vgg

torch.set_num_threads(1)


def samples(network, n=48):
    rng = np.random.default_rng(3)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def student_of(network, *, norms=True, features=(), brain_floats=False):
    form = TrainingForm(
        norms=norms,
        features=features,
        calibration=samples(network),
        device=torch.device("cpu"),
        brain_floats=brain_floats,
    )
    return Student(network, form)


def answers(student, x):
    return torch.cat(list(student.outputs(x))).numpy()


@pytest.mark.parametrize("name", [n for n in ZOO if n != "fixed_batch"])
def test_student_starts_as_the_network_it_is(name):
    network = import_onnx(ZOO[name]())
    x, student = samples(network, 8), student_of(network)
    with torch.inference_mode():
        wanted = joined(network.module(torch.from_numpy(x))).numpy()
    scale = max(1.0, np.abs(wanted).max())
    assert np.abs(answers(student, x) - wanted).max() / scale < 1e-4
    before, after = network.module.state_dict(), student.plain().state_dict()
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[k], after[k], rtol=1e-3, atol=1e-4) for k in before)


@pytest.mark.parametrize("make", [lenet, vgg])
def test_norms_stand_behind_convolutions_and_never_behind_the_last_layer(make):
    network = import_onnx(make())
    convolutions = [r.name for r in network.profile.layers if r.kind == "conv"]
    assert list(student_of(network).norms) == convolutions
    assert student_of(network, norms=False).norms == {}


def test_trained_norms_are_folded_into_their_layers():
    network = import_onnx(resnet())
    student, x = student_of(network), samples(network)
    student.answers(torch.from_numpy(x))  # moves the running statistics
    for name in student.norms.values():
        norm = student.module.get_submodule(name)
        norm.weight.data.mul_(1.0 + 0.3 * torch.rand_like(norm.weight))
        norm.bias.data.add_(0.1)
    plain = replace(network, module=student.plain())
    assert np.allclose(answers(student, x), logits(plain, x), atol=1e-3)
    assert not np.allclose(logits(network, x), logits(plain, x), atol=1e-2)


@pytest.mark.parametrize("precision", [Precision.INT8_WEIGHTS, Precision.CODEBOOK])
@pytest.mark.parametrize("make", [lenet, resnet])
def test_student_rounds_weights_as_the_file_does(make, precision):
    network = replace(import_onnx(make()), precision=precision)
    x, student = samples(network), student_of(network)
    file = onnx_log_probabilities(export_onnx(network), x)
    assert kl_divergence(file, answers(student, x)) < 1e-6
    assert kl_divergence(file, logits(network, x)) > 1e-6


def test_student_rounds_activations_much_as_the_quantised_file_does():
    network = replace(import_onnx(vgg()), precision=Precision.INT8)
    x, student = samples(network), student_of(network)
    file = onnx_log_probabilities(export_onnx(network, x), x)
    plain = kl_divergence(file, logits(network, x))
    assert kl_divergence(file, answers(student, x)) < 0.8 * plain


def test_rounding_lets_gradients_through():
    network = import_onnx(small_lenet())
    module = network.copied_module().requires_grad_(True)
    weights = rounded_weights(module, rounding_offsets(module, Precision.INT8_WEIGHTS))
    rounded = weights["conv2.weight"]
    layer = module.get_submodule("conv2")
    assert not torch.equal(rounded, layer.weight)
    rounded.sum().backward()
    assert torch.equal(layer.weight.grad, torch.ones_like(layer.weight))


def test_half_precision_and_zeros_are_kept():
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    weight[:, ::3] = 0.0
    assert torch.equal(stored_values(weight, Precision.FP16_WEIGHTS), weight.half().float())
    for precision in Precision:
        assert (stored_values(weight, precision)[weight == 0] == 0).all()
    assert torch.equal(stored_values(weight, Precision.FP32), weight)


@pytest.mark.parametrize("shape", [(64, 3, 5, 5), (10, 300), (7, 4, 3)])
def test_eight_bits_are_those_of_the_file_bit_for_bit(shape):
    weight = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    weight[2] = 0.0
    found = stored_values(weight, Precision.INT8)
    assert np.array_equal(found.numpy(), rounded(weight.numpy(), Precision.INT8))


@pytest.mark.parametrize("name", [n for n in ZOO if n != "fixed_batch"])
def test_products_in_brain_floats_answer_and_teach_nearly_the_same(name):
    network = import_onnx(ZOO[name]())
    x = torch.from_numpy(samples(network))
    exact, quick = student_of(network), student_of(network, brain_floats=True)
    teacher = Teacher(network, network, (), torch.device("cpu"), brain_floats=True)
    wanted = exact.answers(x)[0]
    for found in (quick.answers(x)[0], teacher.answers(x)[0]):
        assert found.dtype == torch.float32
        assert (found - wanted).norm() < 0.05 * wanted.norm() + 0.05
    for weight in quick.module.parameters():
        weight.requires_grad_(True)
    quick.answers(x)[0].square().sum().backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in quick.module.parameters())


def test_what_is_judged_is_exact():
    network = replace(import_onnx(small_lenet()), precision=Precision.INT8)
    quick, exact = student_of(network, brain_floats=True), student_of(network)
    x = samples(network)
    assert np.array_equal(answers(quick, x), answers(exact, x))


def test_small_networks_keep_floats():
    assert not brain_floats_pay(import_onnx(small_lenet()), torch.device("cpu"))


def test_rounded_activations_are_those_of_the_file():
    layer = RoundedActivation()
    layer.observe()
    x = torch.linspace(-1.3, 4.1, 1001, requires_grad=True)
    layer(x)
    layer.settle()
    scale = 5.4 / 255
    zero = round(1.3 / scale)
    expected = torch.fake_quantize_per_tensor_affine(x.detach(), scale, zero, 0, 255)
    assert (layer(x) - expected).abs().max() < 1e-5
    wide = torch.tensor([-9.0, 0.0, 1.0, 9.0], requires_grad=True)
    layer(wide).sum().backward()
    assert wide.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_features_are_those_behind_the_norms():
    network = import_onnx(vgg())
    layers = tuple(r.name for r in network.profile.layers if r.kind == "conv")[:2]
    student, x = student_of(network, features=layers), torch.from_numpy(samples(network))
    found = student.answers(x)
    assert len(found) == 3
    means = found[1].mean((0, 2, 3))  # a norm in training has the bias as its mean
    norm = student.module.get_submodule(student.norms[layers[0]])
    assert torch.allclose(means, norm.bias, atol=1e-3)
