import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from compression.errors import ModelRefusedError
from compression.graph import Network, each_output, joined
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.types import LayerKind
from tests.corpus import CASES, READ, REFUSED, Case

torch.set_num_threads(1)

EACH_READ = pytest.mark.parametrize("case", [case.parameter for case in READ])


def inputs(network: Network, batches: int = 1) -> np.ndarray:
    """Samples that fill so many whole batches, few where they are large."""
    shape, batch = network.profile.input_shape, network.profile.batch
    size = batch if isinstance(batch, int) else 3
    rng = np.random.default_rng(1)
    return rng.standard_normal((size * batches, *shape)).astype(np.float32)


def answers(data: bytes, x: np.ndarray) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


def relative_difference(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest of all outputs, each in units of its own largest value."""
    pairs = zip(found, expected, strict=True)
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-6)) for a, b in pairs)


@EACH_READ
def test_network_is_read_trained_and_written_again(case: Case):
    data = case.data()
    network = import_onnx(data, name="corpus")
    x = inputs(network)
    expected = answers(data, x)
    with torch.no_grad():
        found = [y.numpy() for y in each_output(network.module(torch.from_numpy(x)))]
    assert relative_difference(found, expected) <= 1e-4
    check_export(network, data, x, expected)
    check_rows(network, case)
    check_training(network, x, filled=bool(case.packaged))


def check_export(
    network: Network, data: bytes, x: np.ndarray, expected: list[np.ndarray]
) -> None:
    again = export_onnx(network)
    assert verify_export(again, network, x, tolerance=1e-4) <= 1e-4
    assert relative_difference(answers(again, x), expected) <= 1e-4
    before, after = onnx.load_from_string(data), onnx.load_from_string(again)
    assert after.opset_import[0].version == before.opset_import[0].version
    weights = {tensor.name for tensor in before.graph.initializer}
    (source,) = [value for value in before.graph.input if value.name not in weights]
    assert after.graph.input[0].name == source.name
    names = [value.name for value in before.graph.output]
    assert [value.name for value in after.graph.output] == names
    assert sizes(after.graph.input[0])[1:] == sizes(source)[1:]
    shapes = [list(y.shape[1:]) for y in expected]
    assert [sizes(value)[1:] for value in after.graph.output] == shapes


def sizes(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_value or d.dim_param for d in value.type.tensor_type.shape.dim]


def check_rows(network: Network, case: Case) -> None:
    """What passes through is listed with its reason, and groups are told in words."""
    passed = [
        row for row in network.profile.layers if "passes through as it is" in row.untouched
    ]
    unknown = {
        row.untouched.split()[2] for row in passed if "no technique knows" in row.untouched
    }
    assert unknown == set(case.untouched)
    assert all(group.prunable or group.reason for group in network.profile.groups)
    for row in network.profile.layers:
        assert sum(channels for _, channels in row.in_groups) == row.in_channels
        if row.out_group >= 0 and row.kind is not LayerKind.OTHER:
            assert network.profile.groups[row.out_group].channels == row.out_channels


def check_training(network: Network, x: np.ndarray, *, filled: bool) -> None:
    """One step changes weights; networks filled with a single number may have nowhere to go."""
    module = network.copied_module().train()
    weights = dict(module.named_parameters())
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    x = np.concatenate([x, -x]) if len(x) == 1 else x  # batch norms want more than one
    joined(module(torch.from_numpy(x))).square().mean().backward()
    with torch.no_grad():
        for weight in weights.values():
            if weight.grad is not None:
                weight.sub_(0.01 * weight.grad)
    gradients = [weight.grad for weight in weights.values() if weight.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    moved = (not torch.equal(before[name], weight) for name, weight in weights.items())
    assert filled or any(moved)


@pytest.mark.parametrize("case", [case.parameter for case in REFUSED])
def test_network_is_refused_in_words(case: Case):
    with pytest.raises(ModelRefusedError) as caught:
        import_onnx(case.data())
    assert all(words in str(caught.value) for words in case.refused), str(caught.value)


def test_corpus_is_as_wide_as_promised():
    assert len(READ) >= 30
    assert len({case.family for case in READ}) >= 12
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.opset for case in READ if case.torch} >= {7, 8, 9, 11, 13, 17, 23}
