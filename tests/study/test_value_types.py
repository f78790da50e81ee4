"""Which values an annotation takes."""

import pytest

from keras_mtl.study.value_types import takes


@pytest.mark.parametrize(
    ("hint", "value", "fits"),
    [
        (tuple[int, str], [1, "a"], True),
        (tuple[int, str], [1, 2], False),
        (tuple[int, str], ["a", 1], False),
        (tuple[int, str], [1], False),
        (tuple[int, str], [1, "a", "b"], False),
        (tuple[int, str], 1, False),
        (tuple[int, ...], [1, 2, 3], True),
        (tuple[int, ...], [1, "a"], False),
        (tuple[int | list[str], None], [["a"], None], True),
        (list[tuple[str, float]], [["a", 1], ["b", 0.5]], True),
        (tuple, [1, "a"], True),
    ],
)
def test_each_place_of_a_tuple_has_its_own_type(hint, value, fits):
    assert takes(hint, value) is fits
