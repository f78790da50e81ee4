"""Numbers are float32 by default, or `compile` says that they must be."""

from collections.abc import Iterator

import keras
import pytest

from keras_mtl import zoo


@pytest.fixture(params=["float64", "float16", "bfloat16"])
def floatx(request: pytest.FixtureRequest) -> Iterator[str]:
    keras.config.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx("float32")


def test_another_floatx_is_refused_by_compile(floatx: str) -> None:
    model = zoo.shared_bottom(3, ["click"], bottom_units=2)
    with pytest.raises(ValueError, match=f'must be "float32".*Received: floatx=.{floatx}'):
        model.compile("sgd")
