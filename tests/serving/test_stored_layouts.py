"""An export stores kernels as its products read them, each once."""

import keras
import numpy as np
import pytest

from keras_mtl import zoo
from keras_mtl.layers.layouts import stored_layouts
from keras_mtl.serving.signatures import signature_functions
from keras_mtl.serving.stored_layouts import StoredLayouts


@pytest.mark.parametrize(
    ("name", "trunk"),
    [
        ("mmoe", {"num_experts": 3, "expert_units": (8, 4)}),
        ("ple", {"levels": 3, "shared_experts": 2, "task_experts": 2, "expert_units": (8, 4)}),
    ],
)
def test_no_request_rearranges_a_weight(name, trunk):
    model = zoo.create(name, 5, ["a", "b"], tower_units=3, **trunk)
    layouts = StoredLayouts()
    with stored_layouts(layouts):
        functions = signature_functions(model)
    for function in functions.values():
        transposed = [op for op in function.graph.get_operations() if op.type == "Transpose"]
        assert not any(source(op.inputs[0]) == "ReadVariableOp" for op in transposed)
        assert transposed, "the rows are"
    stored = {v.ref(): v for f in functions.values() for v in f.variables}.values()
    sizes = sorted(int(np.prod(v.shape)) for v in stored)
    assert sizes == sorted(int(np.prod(w.shape)) for w in model.weights)


def source(tensor):
    """The operation whose numbers these are, in whatever shape."""
    while tensor.op.type in ("Reshape", "Identity"):
        tensor = tensor.op.inputs[0]
    return tensor.op.type


def test_answers_stay_the_same():
    model = zoo.mmoe(5, ["a", "b"], num_experts=3, expert_units=8, tower_units=3)
    x = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(7, 5)), "float32")
    layouts = StoredLayouts()
    plain = signature_functions(model)
    with stored_layouts(layouts):
        stored = signature_functions(model)
    for name, function in plain.items():
        if name != "examples":
            expected, found = function(x), stored[name](x)
            for task in expected:
                np.testing.assert_allclose(found[task], expected[task], atol=1e-6)
