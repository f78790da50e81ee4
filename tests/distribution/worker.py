"""One worker of a cluster that `TF_CONFIG` describes; run as a script.

python worker.py NUM_DEVICES CONSTRUCTOR[-datasets]...
"""

import sys
from typing import Any


def make_strategy(num_devices: int) -> Any:
    """The strategy, before any other operation: it starts the server of this worker.

    Of CPUs it takes one, of GPUs all; logical CPUs stand in for the latter.
    """
    import tensorflow as tf
    from tensorflow.python.distribute import collective_all_reduce_strategy

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * num_devices,
    )
    collective_all_reduce_strategy.CollectiveAllReduceExtended._initialize_local_devices = (
        lambda self, resolver, worker: (
            tuple(f"{worker}/device:CPU:{index}" for index in range(num_devices)),
            "CPU",
        )
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    assert strategy.num_replicas_in_sync == 2 * num_devices
    return strategy


def main(num_devices: int, cases: list[str]) -> None:
    strategy = make_strategy(num_devices)

    import numpy as np

    from tests.distribution import problem

    for case in cases:
        constructor, _, source = case.partition("-")
        with strategy.scope():
            model = problem.make_model(constructor)
        assert model.steps_per_execution == 1
        np.savez(f"{case}.npz", **problem.run(model, datasets=source == "datasets"))
    if strategy.extended.should_checkpoint:
        model.save("chief.keras")
        model.export("chief/1", verbose=False)
    # As if the workers had restored unequal backups.
    model.optimizer.iterations.assign(strategy.cluster_resolver.task_id)
    try:
        model.fit(*problem.make_data(4, seed=0), verbose=0)
    except ValueError as error:
        print(error)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
