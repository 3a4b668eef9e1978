"""What every technique promises, tried on every tiny network: a new file gets this for nothing."""

from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pytest
import torch

from compression.building import BuildResult, build
from compression.channel_moments import observed
from compression.errors import TechniqueRefusedError
from compression.graph import Network, joined
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.op_costs import totals
from compression.surgery import parts_of, weights_of
from compression.technique import Scope, Technique, get, names
from compression.types import (
    NETWORK,
    LayerKind,
    LayerProfile,
    NetworkProfile,
    Params,
    RecipeStep,
)
from tests.networks import ZOO

torch.set_num_threads(1)

LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d)
STATIC = Path(__file__).resolve().parents[3] / "static"


@cache
def imported(name: str) -> Network:
    network = import_onnx(ZOO[name](), name=name)
    return observed(network, samples(network, 32))


def samples(network: Network, n: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def applicable(technique: Technique, network: Network) -> list[tuple[str, Params]]:
    """Every layer and level that the technique takes; ``*`` for what concerns the whole network."""
    if technique.scope is Scope.NETWORK:
        return [(NETWORK, params) for params in technique.levels()]
    return [
        (row.name, params)
        for row in network.profile.layers
        for params in technique.distinct_levels(row, network.profile)
    ]


class Pair:
    """A technique and a network, and what comes of them: made once for all tests that look at it."""

    def __init__(self, technique: str, network: str):
        self.method, self.original = get(technique), imported(network)
        self.before = state(self.original)
        self.changed = [
            (layer, params, self.method.apply(self.original, layer, params))
            for layer, params in applicable(self.method, self.original)
        ]

    @property
    def ends(self) -> list[tuple[str, Params, Network]]:
        """The first and the last case, for what takes long."""
        return self.changed[:1] + self.changed[1:][-1:]

    @cached_property
    def built(self) -> list[BuildResult]:
        """The ends, fitted to the original's answers."""
        return [self.build(layer, params) for layer, params, _ in self.ends]

    def build(self, layer: str, params: Params) -> BuildResult:
        x = samples(self.original, 48)
        return build(self.original, (self.step(layer, params),), x)

    def step(self, layer: str, params: Params) -> RecipeStep:
        return RecipeStep(layer=layer, technique=self.method.name, params=params)


@pytest.fixture(scope="module", params=[(t, n) for t in names() for n in ZOO], ids="-".join)
def pair(request) -> Pair:
    """Each technique on each network; pytest runs all tests of a pair before those of the next."""
    return Pair(*request.param)


def values(network: Network) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.module.state_dict().items()}


def state(network: Network) -> tuple[dict[str, torch.Tensor], NetworkProfile, str]:
    return values(network), network.profile, network.module.code


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def nonzeros(network: Network) -> int:
    """How many weights of convolutions and dense layers have to be stored."""
    found = [m.weight for m in network.module.modules() if isinstance(m, LAYERS)]
    return sum(int(torch.count_nonzero(weight)) for weight in found)


def is_sparse(technique: Technique, network: Network, layer: str, params: Params) -> bool:
    """Whether weights that are zero, and not fewer multiply-adds, are what is saved."""
    if technique.scope is not Scope.STRUCTURE:
        return False
    return any(op.density < 1 for op in technique.cost(network.profile.layer(layer), params))


def densities(network: Network, layer: str) -> list[float]:
    """Share of the weights that are not zero, of each part that stands for the layer."""
    weights = [weights_of(network, part) for part in held(network, layer)]
    return [int(torch.count_nonzero(w)) / w.numel() for w in weights]


def run(network: Network, x: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return joined(network.module(torch.from_numpy(x)))


def batch_of(network: Network) -> int:
    return network.profile.batch if isinstance(network.profile.batch, int) else 3


def predicted(technique: Technique, network: Network, layer: str, params: Params):
    """MACs and parameters of the whole network as ``cost`` promises them."""
    profile = network.profile
    if technique.scope is Scope.NETWORK:
        return profile.macs, profile.params
    row = profile.layer(layer)
    if technique.scope is Scope.WIDTH:
        rows = [
            narrowed(r, network, row, totals_width(technique, row, params))
            for r in profile.layers
        ]
        return sum(r.macs for r in rows), sum(r.params for r in rows)
    gone = (row, *(profile.layer(name) for name in technique.removes(row, profile)))
    macs, params_ = totals(technique.cost(technique.treated(row, profile), params))
    return (
        profile.macs - sum(r.macs for r in gone) + macs,
        profile.params - sum(r.params for r in gone) + params_,
    )


def totals_width(technique: Technique, row: LayerProfile, params: Params) -> int:
    (op,) = technique.cost(row, params)
    return op.out_shape[0] if row.kind is LayerKind.CONV else op.out_shape[-1]


def narrowed(row: LayerProfile, network: Network, leader: LayerProfile, width: int):
    group = next(g for g in network.profile.groups if g.leader == leader.name)
    inputs = sum(width if g == group.id else c for g, c in row.in_groups)
    outputs = width if row.out_group == group.id else row.out_channels
    if row.kind is LayerKind.OTHER:
        outputs = inputs
    return row.resized(in_channels=inputs, out_channels=outputs)


def test_output_is_finite_and_keeps_its_shape(pair):
    x = samples(pair.original, batch_of(pair.original))
    shape = run(pair.original, x).shape
    for layer, params, changed in pair.changed:
        result = run(changed, x)
        assert result.shape == shape, (layer, params)
        assert torch.isfinite(result).all(), (layer, params)


def test_predicted_cost_is_the_counted_cost(pair):
    for layer, params, changed in pair.changed:
        counted = changed.profile.macs, changed.profile.params
        promised = predicted(pair.method, pair.original, layer, params)
        assert counted == promised, (layer, params)


def test_what_it_does_is_smaller(pair):
    original, method = pair.original, pair.method
    for layer, params, changed in pair.changed:
        if method.scope is Scope.WEIGHTS or is_sparse(method, original, layer, params):
            assert nonzeros(changed) < nonzeros(original), (layer, params)
        elif method.scope is not Scope.NETWORK:
            before, after = original.profile, changed.profile
            assert after.params <= before.params, (layer, params)
            assert after.macs <= before.macs, (layer, params)
            assert (after.params, after.macs) != (before.params, before.macs), (layer, params)


def test_predicted_density_is_the_counted_density(pair):
    original, method = pair.original, pair.method
    if method.scope not in (Scope.WEIGHTS, Scope.STRUCTURE):
        return
    for (layer, params, applied), built in zip(pair.ends, pair.built, strict=True):
        ops = method.cost(original.profile.layer(layer), params)
        if all(op.density == 1 for op in ops):
            continue
        promised = [op.density for op in ops if op.op in ("conv", "dense")]
        for changed in (applied, built.network):
            counted = densities(changed, layer)
            weights = min(weights_of(changed, p).numel() for p in held(changed, layer))
            assert counted == pytest.approx(promised, abs=1 / weights), (layer, params)


def held(network: Network, layer: str) -> list[str]:
    """The parts that stand for the layer and hold weights."""
    parts = parts_of(network, layer)
    return [p for p in parts if isinstance(network.module.get_submodule(p), LAYERS)]


def test_same_input_gives_the_same_weights_and_the_input_stays(pair):
    for layer, params, changed in pair.ends:
        again = pair.method.apply(pair.original, layer, params)
        assert same(values(changed), values(again))
    weights, profile, code = pair.before
    assert same(values(pair.original), weights)
    assert pair.original.module.code == code
    assert pair.original.profile == profile


def test_result_survives_export(pair):
    x = samples(pair.original, 12)
    for _, _, changed in pair.ends:
        verify_export(export_onnx(changed, x), changed, x)


def test_original_layers_are_found_in_the_result(pair):
    for layer, _, changed in pair.changed:
        rows = {row.name: row for row in changed.profile.layers}
        for name, output in changed.outputs_of.items():
            width = pair.original.profile.layer(name).out_channels if name in rows else None
            if name == layer and output.kept is None and width is not None:
                assert rows[output.node].out_channels == width
            if output.kept is not None:
                assert rows[output.node].out_channels == len(output.kept)


def test_refusal_is_a_sentence(pair):
    original, method = pair.original, pair.method
    if method.scope is Scope.NETWORK:
        return
    for row in original.profile.layers:
        for params in method.levels():
            reason = method.refusal(row, original.profile, params)
            if reason:
                assert reason.endswith(".")
                assert reason[0].islower()
                with pytest.raises(TechniqueRefusedError, match=row.name):
                    method.apply(original, row.name, params)


def test_reconstruction_follows_and_repeats(pair):
    x = samples(pair.original, batch_of(pair.original))
    for (layer, params, _), first in zip(pair.ends, pair.built, strict=True):
        assert first.applied == (pair.step(layer, params),)
        assert not first.skipped
        assert same(values(first.network), values(pair.build(layer, params).network))
        assert torch.isfinite(run(first.network, x)).all()


@pytest.mark.parametrize("technique", names())
def test_unknown_layer_is_refused(technique):
    with pytest.raises(TechniqueRefusedError, match="no_such_layer"):
        get(technique).apply(imported("lenet"), "no_such_layer", get(technique).levels()[0])


@pytest.mark.parametrize("technique", names())
def test_technique_introduces_itself(technique):
    method = get(technique)
    assert method.name == technique
    assert method.title
    assert method.paper
    assert 1 <= len(method.letter) <= 2
    assert method.token.startswith("tech-")
    assert len({get(name).letter for name in names()}) == len(names())
    assert all(parameter.help for parameter in method.parameters)
    assert all(set(level) == {p.name for p in method.parameters} for level in method.levels())


@pytest.mark.parametrize("technique", [n for n in names() if get(n).scope is not Scope.NETWORK])
def test_colour_is_known_to_pages_and_charts(technique):
    token = get(technique).token
    assert f"--{token}: #" in (STATIC / "css" / "tokens.css").read_text()
    assert f'"{token}"' in (STATIC / "js" / "lib" / "theme.js").read_text()
