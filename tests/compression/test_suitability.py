from dataclasses import replace

import pytest

from compression.cost import load_device
from compression.suitability import (
    CONV_1D,
    Memory,
    Model,
    Tensor,
    misfit,
    notes,
    peak_elements,
    unlike,
)
from compression.types import Precision

CONV = ("conv", (3, 3))


def test_peak_of_a_chain_is_its_largest_pair():
    chain = [
        Tensor("x", (), 100),
        Tensor("a", ("x",), 400),
        Tensor("b", ("a",), 300),
        Tensor("c", ("b",), 10),
    ]
    assert peak_elements(chain) == 700


def test_skip_connection_keeps_its_tensor_alive():
    block = [
        Tensor("x", (), 100),
        Tensor("a", ("x",), 100),
        Tensor("b", ("a",), 100),
        Tensor("sum", ("x", "b"), 100),
    ]
    assert peak_elements(block) == 300


def test_an_output_that_is_read_on_stays_alive_until_the_end():
    chain = [Tensor("x", (), 100), Tensor("early", ("x",), 100), Tensor("late", ("early",), 10)]
    assert peak_elements([*chain, Tensor.reader(["late"])]) == 200
    last = Tensor("wide", ("late",), 250)
    assert peak_elements([*chain, last, Tensor.reader(["wide"])]) == 260
    assert peak_elements([*chain, last, Tensor.reader(["early", "wide"])]) == 360


def test_tensor_of_a_layer_has_the_elements_of_its_shape():
    assert Tensor.of("a", ["x"], (16, 8, 8)) == ("a", ("x",), 1024)


@pytest.mark.parametrize(
    ("name", "file_mb", "elements", "sentence"),
    [
        ("stm32-l4r5", 0.3, 100_000, ""),
        (
            "stm32-l4r5",
            3.0,
            1,
            "Does not fit: weights take 3 MB of flash, ST NUCLEO-L4R5ZI has 2 MB.",
        ),
        ("stm32-l4r5", 0.1, 500_000, "Does not fit: activations in float take 1.9 MB of RAM"),
        ("sony-sw3", 100, 1_000_000, ""),
        ("sony-sw3", 528, 1_000_000, "half of the memory of Sony SmartWatch 3 is"),
        ("this-host", 1e6, 10**9, ""),
    ],
)
def test_network_that_does_not_fit_is_said_so(name, file_mb, elements, sentence):
    found = misfit(load_device(name), Memory(file_mb * 1024**2, elements))
    assert found.startswith(sentence) or sentence in found
    assert bool(found) == bool(sentence)


def test_layers_outside_the_fit_are_named():
    device = load_device("rpi4")
    assert unlike(device, [CONV], 300e6) == ()
    layers = [CONV, ("conv", (5,)), ("transposed_conv", (2, 2)), ("matmul", ())]
    assert set(unlike(device, layers, 300e6)) == {
        "transposed convolutions",
        "products of two computed tensors",
        "one-dimensional convolutions",
    }
    assert unlike(device, [CONV], 4e5) == (
        "fewer multiply-adds than any of them (106 to 15,470 M)",
    )
    assert unlike(load_device("this-host"), layers, 1) == ()


def test_activations_take_what_the_network_computes_in():
    half = 0.5 * 640 * 1024  # elements of 1 byte that fill half of its RAM
    device = replace(load_device("stm32-l4r5"), ram_mb=0.625)
    assert "in float take" in misfit(device, Memory(0, int(half)))
    assert misfit(device, Memory(0, int(half), Precision.INT8)) == ""
    assert "in float" in misfit(device, Memory(0, int(half), Precision.INT8_WEIGHTS))
    assert "activations take" in misfit(device, Memory(0, int(3 * half), Precision.INT8))
    assert misfit(replace(device, arithmetic="fp16"), Memory(0, int(half))) == ""


def test_board_in_float_holds_an_8_bit_network_four_times_as_large():
    device = load_device("sony-sw3")
    elements = int(0.3 * device.ram_mb * 1024**2)
    assert "Does not fit: weights and activations take" in misfit(device, Memory(0, elements))
    assert misfit(device, Memory(0, elements, Precision.INT8)) == ""


def test_what_is_not_known_exactly_may_not_fit():
    memory = Memory(0, 2_000_000, Precision.INT8, at_most=True)
    assert misfit(load_device("stm32-l4r5"), memory).startswith(
        "May not fit: activations take at most 1.9 MB of RAM"
    )
    weights = Memory(3 * 1024**2, 1, Precision.INT8, at_most=True)
    assert misfit(load_device("stm32-l4r5"), weights).startswith("Does not fit: weights")


def test_notes_say_both_what_does_not_fit_and_what_is_unlike_the_fit():
    tensors = [Tensor("x", (), 10), Tensor("a", ("x",), 2_000_000)]
    model = Model(tensors, [("matmul", ())], 1e6, 1000)
    fits, strange = notes(load_device("stm32-u575"), model)
    assert fits.startswith("Does not fit: activations")
    assert "which has products of two computed tensors" in strange
    assert strange.endswith("Their bands are wider for it.")
    assert notes(load_device("this-host"), model) == ()


def test_notes_read_an_imported_network():
    from compression.onnx_import import import_onnx
    from tests.networks import lenet

    profile = import_onnx(lenet()).profile
    model = Model.of(profile, 250_000)
    assert model.tensors[0].elements == 28 * 28
    assert peak_elements(model.tensors) > max(tensor.elements for tensor in model.tensors)
    assert notes(load_device("rpi4"), model)[0].startswith("The figures of Raspberry Pi 4")


def test_layer_in_float_takes_four_8_bit_elements_each():
    from compression.onnx_import import import_onnx
    from tests.networks import lenet

    profile = import_onnx(lenet()).profile
    every = [layer.name for layer in profile.layers]
    eight = Model.of(profile, 1, Precision.INT8).memory
    wide = Model.of(profile, 1, Precision.INT8, every).memory
    assert wide.activation_elements == 4 * eight.activation_elements


def test_one_dimensional_convolutions_are_known_where_they_were_timed():
    device, layers = load_device("rpi4"), [("conv", (5,)), ("matmul", ())]
    assert "one-dimensional convolutions" in unlike(device, layers, 300e6)
    timed = replace(device, sources={**device.sources, CONV_1D: "Measured"})
    assert unlike(timed, layers, 300e6) == ("products of two computed tensors",)
