import copy

import numpy as np
import onnx
import onnxruntime as ort
import torch

from compression.graph import Network
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.technique import Scope, get, names
from tests.exporting import exported, seeded
from tests.zoo_attention import Recurrent


def recurrent(**settings) -> tuple[bytes, Network]:
    data = exported(seeded(Recurrent), 3, 16, **settings)
    return data, import_onnx(data)


def test_operator_without_a_converter_is_listed_with_the_reason():
    _, network = recurrent()
    row = network.profile.layer("recurrent_lstm")
    assert row.untouched == "the operator LSTM passes through as it is: no technique knows it."
    for name in names():
        if get(name).scope is not Scope.NETWORK:
            verdict = get(name).applies_to(row, network.profile)
            assert (verdict.yes, verdict.reason) == (False, row.untouched)


def test_exporter_writes_the_very_node_again():
    data, network = recurrent()
    before, after = (
        next(n for n in onnx.load_from_string(d).graph.node if n.op_type == "LSTM")
        for d in (data, export_onnx(network))
    )
    assert after.attribute == before.attribute


def test_layers_behind_it_learn_and_layers_before_it_stay():
    _, network = recurrent()
    module = network.copied_module()
    module(torch.ones(2, 3, 16)).square().sum().backward()
    assert module.head.weight.grad.abs().sum() > 0
    assert module.stem_0.weight.grad.abs().sum() == 0


def test_copies_compute_the_same():
    _, network = recurrent()
    x = torch.ones(2, 3, 16)
    with torch.no_grad():
        first = network.module(x)
        assert torch.equal(copy.deepcopy(network.module)(x), first)


def test_model_of_fixed_batch_takes_any_number_of_samples_here():
    data, network = recurrent(dynamic=False, opset=11)
    x = np.random.default_rng(0).standard_normal((3, 3, 16)).astype(np.float32)
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    one_by_one = [session.run(None, {"image": x[i : i + 1]})[0] for i in range(3)]
    with torch.no_grad():
        together = network.module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(together, np.concatenate(one_by_one), atol=1e-5)
