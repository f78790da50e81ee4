"""A store gives the layouts of weights, and only while it is there."""

import numpy as np
from keras import ops

from keras_mtl.layers import TaskDense
from keras_mtl.layers.layouts import laid_out, stored_layouts
from keras_mtl.layers.task_dense import input_major


def test_a_layer_reads_what_is_stored():
    layer = TaskDense(num_tasks=3, units=2, use_bias=False, seed=0)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    before = ops.convert_to_numpy(layer(x))
    asked = []

    def doubled(weight, layout):
        asked.append((weight, layout))
        return 2.0 * layout(weight)

    with stored_layouts(doubled):
        inside = ops.convert_to_numpy(layer(x))
        some = ops.convert_to_numpy(layer(x, slots=(0, 2)))
    assert asked == [(layer.kernel, input_major)] * 2
    np.testing.assert_allclose(inside, 2 * before, rtol=1e-6)
    np.testing.assert_allclose(some, 2 * before[:, [0, 2]], rtol=1e-6)
    np.testing.assert_array_equal(layer(x), before)


def test_a_store_ends_with_its_block_also_after_an_error():
    try:
        with stored_layouts(lambda weight, layout: None):
            raise KeyError
    except KeyError:
        pass
    assert laid_out(3, lambda weight: weight + 1) == 4
