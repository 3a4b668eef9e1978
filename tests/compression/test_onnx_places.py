import numpy as np

from compression.onnx_places import FIRST, Place, place_after_reshape


def ours(tensor: np.ndarray, place: Place, batch: int) -> np.ndarray:
    """A tensor of the model with its batch in front, by plain NumPy."""
    outer = place.outer(tensor.shape)
    apart = tensor.reshape(outer, batch, -1).swapaxes(0, 1)
    return apart.reshape(batch, *place.without_batch(tensor.shape))


def test_heads_merged_behind_the_batch_come_apart():
    tensor = np.arange(4 * (3 * 2) * 5).reshape(4, 3 * 2, 5)  # tokens, batch x heads, width
    place = Place(1, 1, 2)
    assert place.without_batch(tensor.shape) == (4, 2, 5)
    expected = tensor.reshape(4, 3, 2, 5).transpose(1, 0, 2, 3)
    np.testing.assert_array_equal(ours(tensor, place, 3), expected)


def test_axes_follow_the_batch_to_the_front():
    assert [FIRST.axes(axis) for axis in range(3)] == [[], [1], [2]]
    assert [Place(1).axes(axis) for axis in range(3)] == [[1], [], [2]]
    assert [Place(1, 1, 2).axes(axis) for axis in range(3)] == [[1], [2], [3]]


def test_reshape_keeps_what_lies_before_the_batch():
    assert place_after_reshape(1, (6, 4, 5), 3, [0]) == Place(0, 1, 2)
    assert place_after_reshape(4, (12, 5), 3, [0]) == Place(0, 4, 1)
    assert place_after_reshape(4, (4, 6, 5), 3, [1]) == Place(1, 1, 2)


def test_reshape_that_takes_samples_apart_has_no_place():
    assert place_after_reshape(2, (3, 10), 3, [0]) is None


def test_batch_of_one_is_found_where_it_stands_alone():
    assert place_after_reshape(4, (4, 1, 5), 1, range(3)) == Place(1)


def test_constants_that_know_samples_are_told():
    assert FIRST.constant(np.ones((3, 4)), 2) is None
    assert Place(1).constant(np.ones((4, 1, 5)), 3).shape == (1, 4, 5)
    assert FIRST.constant(np.ones(5), 3).shape == (1, 1, 5)
    assert Place(1, 1, 2).constant(np.ones(5), 3).shape == (1, 1, 1, 5)
