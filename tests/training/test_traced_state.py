"""On JAX, a step of one's own computes its loss where state is handed along."""

import keras
import numpy as np
import pytest

from keras_mtl import Task
from tests.training.free_logits import own_heads

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX traces")
LABELS = {"a": np.array([0, 1, 1, 0])}
LOGITS = {"a": np.linspace(-1.0, 1.0, 4)[:, None]}


def test_a_loss_that_jax_traces_names_the_way_that_works():
    import jax

    rows = own_heads([Task("a")], LOGITS)
    model, x = rows.model, rows.x
    model.compile("sgd")
    state = [
        [variable.value for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]

    def loss_of(trainable, compute):
        y_pred, _ = model.stateless_call(trainable, state[1], x, training=True)
        return compute(trainable, y_pred)

    def stateless(trainable, y_pred):
        metrics = [variable.value for variable in model.metrics_variables]
        return model.stateless_compute_loss(
            trainable, state[1], metrics, x=x, y=LABELS, y_pred=y_pred
        )[0]

    def refused(trainable, y_pred):
        return model.compute_loss(x, LABELS, y_pred)

    with pytest.raises(RuntimeError, match=r"model\.stateless_compute_loss"):
        jax.value_and_grad(loss_of)(state[0], refused)
    expected = float(model.compute_loss(x, LABELS, model(x)))
    loss, _ = jax.value_and_grad(loss_of)(state[0], stateless)
    assert float(loss) == pytest.approx(expected)
