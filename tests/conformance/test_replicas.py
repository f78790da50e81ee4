"""Every case on two replicas: the numbers of one."""

import keras
import tensorflow as tf

from tests.conformance.case import Case
from tests.conformance.figures import Arrays, assert_same, shown, trained
from tests.conformance.over import over
from tests.conformance.test_training import compiled

ROWS = 19  # batches of 8, 8 and 3: the last leaves one replica a row


@over("replicas", slow_options=True, quick=("zoo.ple", "zoo.moe", "metrics"))
def test_two_replicas_give_the_numbers_of_one(case: Case, mirrored: tf.distribute.Strategy) -> None:
    x, y = case.inputs(ROWS, 1), case.labels(ROWS, 1)

    def figures(model: keras.Model) -> Arrays:
        found = trained(model, x, y, epochs=2) | shown(model, x, y)
        # Of sparse layers: means over groups, of which every replica is one.
        return {k: v for k, v in found.items() if "moe/" not in k or not k.endswith("_loss")}

    alone = figures(compiled(case, run_eagerly=True))
    with mirrored.scope():
        model = compiled(case)
    # AUC places scores in bins: their rounding moves it further than it moves a mean.
    assert_same(figures(model), alone, tolerance=1e-5, auc_tolerance=1e-4)
