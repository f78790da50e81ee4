"""The smallest numbers lie in one bin, whoever reads them: NumPy, or TensorFlow from any dtype."""

import keras
import numpy as np
import pytest

from keras_mtl.features import Numeric, TabularFeatures

# Below the smallest normal number of float32, of float64, and on either side of an edge.
VALUES = np.array([-1e-40, 1e-40, -1e-45, 1e-45, 0.0, -0.0, -1e-320, 5e-324, -1e-38, 1.0])
IDS = {
    (0.0, 1.0): [1, 2, 1, 2, 2, 2, 2, 2, 1, 3],
    (1e-40,): [1, 2, 1, 1, 1, 1, 1, 1, 1, 2],
    (-1e-40, 0.5): [2, 2, 2, 2, 2, 2, 2, 2, 1, 3],
    (1e-320, 0.5): [1, 2, 1, 2, 2, 2, 2, 2, 1, 3],
}


def adapted(edges):
    return TabularFeatures([Numeric("x", bins=edges)], embedding_dim=2).adapt({"x": VALUES})


@pytest.mark.parametrize("edges", IDS)
def test_numpy_puts_them_where_they_are(edges):
    table = adapted(edges)
    for rows in (VALUES, VALUES.tolist()):
        assert table.encode({"x": rows})["categorical"].ravel().tolist() == IDS[edges]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's graph")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("edges", IDS)
def test_tensorflow_puts_them_where_numpy_does(edges, dtype):
    import tensorflow as tf

    table = adapted(edges)
    tensor = tf.constant(VALUES.astype(tf.as_dtype(dtype).as_numpy_dtype))
    expected = table.encode({"x": tensor.numpy().astype("float64")})["categorical"]
    for encode in (table.encode_tensors, tf.function(table.encode_tensors)):
        np.testing.assert_array_equal(encode({"x": tensor})["categorical"], expected)
    if dtype == "float64":
        assert expected.ravel().tolist() == IDS[edges]


def test_edges_that_are_one_number_are_refused():
    with pytest.raises(ValueError, match=r"list of increasing numbers. Received: bins="):
        Numeric("x", bins=(0.0, 1e-320))
    with pytest.raises(ValueError, match=r"list of increasing numbers. Received: bins="):
        Numeric("x", bins=(0, 10**400))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mean_of_numbers_as_large_as_float32_is_that_of_float64(dtype):
    values = np.array([3e38, -3e38, 3e38, 3e38, -3e38, 3e38], dtype)
    table = TabularFeatures([Numeric("x", encoding="standard")])
    for data in ({"x": values}, iter([{"x": values[:1]}, {"x": values[1:4]}, {"x": values[4:]}])):
        z = table.adapt(data).encode({"x": values})["numeric"][:, 0]
        wide = values.astype("float64")
        np.testing.assert_allclose(z, (wide - wide.mean()) / wide.std(), rtol=1e-6)
