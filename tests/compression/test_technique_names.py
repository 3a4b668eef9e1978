"""One spoken name a technique, known without importing it."""

import ast

import pytest

from compression import technique
from compression.technique_names import _titles, title_of, titles_of


@pytest.mark.parametrize("name", technique.names())
def test_name_is_the_one_on_the_tile(name):
    assert title_of(name) == technique.get(name).title


def test_no_two_techniques_share_a_name():
    assert len({title_of(name).lower() for name in technique.names()}) == len(technique.names())


def test_stacked_techniques_are_named_one_by_one():
    assert titles_of("filter_pruning+magnitude_pruning") == "Filter pruning + Weight pruning"


def test_technique_of_another_version_goes_by_its_key():
    assert title_of("tensor_train") == "tensor train"
    assert title_of("../cost") == "../cost"


def test_title_may_stand_beside_other_values():
    """As the README writes it."""
    source = 'class TensorTrain:\n    title, letter = "Tensor train", "N"\n'
    assert _titles(ast.parse(source)) == ["Tensor train"]
