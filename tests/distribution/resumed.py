"""One worker that dies in the middle of an epoch, unless it died before; run as a script.

python resumed.py INDEX_OF_DYING_WORKER
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.distribution.problem import BATCH_SIZE, TASKS, make_data
from tests.distribution.worker import make_strategy

EPOCH, BATCH = 2, 1  # the second batch of the third epoch of four


class PowerCut(keras.callbacks.Callback):
    """Does something between two batches in the middle of training."""

    def __init__(self, event: Callable[[], None]) -> None:
        super().__init__()
        self.event = event

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == (EPOCH, BATCH):
            self.event()


def die_once() -> None:
    if not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def trained(
    callbacks: Sequence[keras.callbacks.Callback] = (), strategy: Any = None
) -> dict[str, np.ndarray]:
    """Which epochs were trained, and all that training moved."""
    from keras_mtl import zoo

    # One order of rows on all workers, and after a restart.
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = zoo.mmoe(
            5, TASKS, num_experts=2, expert_units=8, tower_units=3, dropout=0.3, seed=0
        )
        model.compile(keras.optimizers.Adam(0.05), steps_per_execution=1)
    x, y = make_data(3 * BATCH_SIZE, seed=0)
    history = model.fit(x, y, epochs=4, batch_size=BATCH_SIZE, callbacks=list(callbacks), verbose=0)
    variables = [*model.variables, *model.optimizer.variables]
    values = {f"{i} {v.name}": keras.ops.convert_to_numpy(v.value) for i, v in enumerate(variables)}
    return {"epochs": np.array(history.epoch), "loss": np.array(history.history["loss"]), **values}


def main(dying: int) -> None:
    strategy = make_strategy(num_devices=1)
    callbacks: list[keras.callbacks.Callback] = [keras.callbacks.BackupAndRestore("backup")]
    if strategy.cluster_resolver.task_id == dying:
        callbacks.append(PowerCut(die_once))
    np.savez("resumed.npz", **trained(callbacks, strategy))
    np.savez("undisturbed.npz", **trained(strategy=strategy))


if __name__ == "__main__":
    main(int(sys.argv[1]))
