import json
from pathlib import Path

import pytest

from compression import technique
from compression.cost import load_device
from compression.preprocessing import Preprocessing
from selector.errors import BadRequestError
from selector.request import Request, parse_request, read_request
from selector.types import Budgets, Goals, Lock

FULL = {
    "model": "lenet.onnx",
    "data": "mnist.npz",
    "preprocessing": {"layout": "NCHW", "divide": 255, "mean": [0.13], "std": [0.3]},
    "target": "redmi-3s",
    "goals": {"accuracy": 0.4, "latency": 0.2, "energy": 0.2, "storage": 0.2},
    "budgets": {
        "max_accuracy_drop": 1.0,
        "max_latency_ms": None,
        "max_energy_mj": None,
        "max_size_bytes": 50_000,
    },
    "selector": "dqn",
    "techniques": None,
    "locks": {},
    "time_limit_s": 600,
    "threads": 2,
    "seed": 0,
}


def parse(**changes):
    return parse_request(FULL | changes, folder=Path("/jobs"))


def test_example_of_the_readme_is_understood():
    request = parse()
    assert request.model == Path("/jobs/lenet.onnx")
    assert request.preprocessing == Preprocessing(
        layout="NCHW", divide=255.0, mean=(0.13,), std=(0.3,)
    )
    assert request.goals.accuracy == pytest.approx(0.4)
    assert request.budgets == Budgets(max_accuracy_drop=1.0, max_size_bytes=50_000)


def test_only_the_model_is_needed():
    assert parse_request({"model": "m.onnx"}, folder=Path()) == Request(model=Path("m.onnx"))


def test_request_survives_being_written_and_read(tmp_path):
    name = technique.names()[0]
    locks = {
        "conv1": "keep",
        "conv2": {"exclude": [name]},
        "fc": {"technique": name, "params": {}},
        "fc2": {"treatments": {name: {"share": 0.5}}},
    }
    switches = {"view": "analytic (paper)", "gamma": 1.0}
    request = parse(locks=locks, techniques=[name], selector="classic", classic=switches)
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request.to_json()))
    assert read_request(path) == request


def test_weights_are_shares():
    assert parse(goals={"accuracy": 3, "latency": 1}).goals == Goals(
        accuracy=0.75, latency=0.25, energy=0.0, storage=0.0
    )


def test_locks_are_read_by_layer():
    name = technique.names()[0]
    treatments = {name: {"share": 0.5}}
    locks = {"a": "keep", "b": {"exclude": [name]}, "c": {"treatments": treatments}}
    assert parse(locks=locks).locks == {
        "a": Lock(technique="keep"),
        "b": Lock(exclude=(name,)),
        "c": Lock(treatments=treatments),
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modle": 1}, "The request has unknown keys: modle. Known keys: model, data,"),
        ({"model": None}, 'needs "model": the path of an ONNX file'),
        ({"data": 3}, '"data" must be a text'),
        ({"target": "pixel"}, "no target 'pixel'. Known targets: this-host, galaxy-note5"),
        ({"goals": {"speed": 1}}, '"goals" has unknown keys: speed'),
        ({"goals": {"latency": -1}}, "goals.latency must lie between 0"),
        ({"goals": [1]}, '"goals" must be a JSON object'),
        ({"budgets": {"max_size": 1}}, '"budgets" has unknown keys: max_size'),
        ({"budgets": {"max_latency_ms": 0}}, "budgets.max_latency_ms is 0, which no network"),
        ({"budgets": {"max_latency_ms": "fast"}}, "budgets.max_latency_ms must be a number"),
        (
            {"selector": "magic"},
            "There is no selector 'magic'. Take one of: dqn, classic, greedy",
        ),
        ({"classic": {"gama": 1}}, '"classic" has unknown keys: gama'),
        ({"techniques": ["magic"]}, "techniques: there is no technique 'magic'"),
        ({"techniques": "svd"}, '"techniques" must be a list of names'),
        ({"locks": {"a": "drop"}}, 'locks.a must be "keep"'),
        ({"locks": {"a": {"technique": "magic"}}}, "a: there is no technique 'magic'"),
        ({"locks": {"a": {"exclude": [], "technique": "svd"}}}, 'locks.a must be "keep"'),
        ({"locks": {"a": {"exclude": "svd"}}}, 'locks.a must be "keep"'),
        ({"locks": {"a": {"treatments": {}}}}, 'locks.a must be "keep"'),
        ({"locks": {"a": {"treatments": {"svd": 0.5}}}}, 'locks.a must be "keep"'),
        ({"locks": {"a": {"treatments": {"magic": {}}}}}, "a: there is no technique 'magic'"),
        (
            {"locks": {"a": {"technique": "svd", "params": {"rank_ratio": float("inf")}}}},
            'locks.a must be "keep"',
        ),
        ({"locks": []}, '"locks" must be an object'),
        ({"preprocessing": {"scale": 2}}, "Preprocessing has no setting 'scale'"),
        ({"preprocessing": 255}, '"preprocessing" must be an object or null'),
        ({"time_limit_s": 0}, "time_limit_s must lie between 1"),
        ({"threads": 1.5}, "threads must be a whole number"),
        ({"seed": True}, "seed must be a number"),
        ({"seed": -1}, "seed must lie between 0"),
    ],
)
def test_bad_request_is_refused_by_name(changes, message):
    with pytest.raises(BadRequestError) as error:
        parse(**changes)
    assert message in str(error.value)


def test_file_that_is_no_json_is_refused(tmp_path):
    path = tmp_path / "request.json"
    with pytest.raises(BadRequestError, match="cannot be read"):
        read_request(path)
    path.write_text("{model: lenet.onnx}")
    with pytest.raises(BadRequestError, match=r"request\.json is not JSON"):
        read_request(path)
    path.write_text("[]")
    with pytest.raises(BadRequestError, match="must be a JSON object"):
        read_request(path)


def test_target_may_be_a_profile_beside_the_request(tmp_path):
    catalogue = Path("compression/devices/rpi4.toml").resolve()
    (tmp_path / "my-board.toml").write_text(catalogue.read_text())
    request = parse_request(FULL | {"target": "my-board.toml"}, folder=tmp_path)
    assert request.device.name == "my-board"
    assert request.device.rates == load_device("rpi4").rates
    assert (
        request.device
        is parse_request(FULL | {"target": "my-board.toml"}, folder=tmp_path).device
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, '"target": The device profile my-board.toml cannot be read.'),
        ("title = ", '"target": my-board.toml is not a TOML file'),
        ("title = 'x'", "my-board.toml: 'chip' is missing"),
    ],
)
def test_profile_that_is_none_is_refused(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "my-board.toml").write_text(text)
    with pytest.raises(BadRequestError) as refused:
        parse_request(FULL | {"target": "my-board.toml"}, folder=tmp_path)
    assert sentence in str(refused.value)
