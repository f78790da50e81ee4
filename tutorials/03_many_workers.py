# %% [markdown]
# # Training on many machines
#
# Several machines train one model together: each takes its share of every batch, and their gradients
# are added up. `MultiTaskModel` then takes the same steps as one machine would, also where some
# machine happens to see no label of a task. All of it is `tf.distribute`; this page says what to
# write, what to leave to the first worker, and how to go on after a machine has died.
#
# Two processes on this computer stand in for two machines. Runs in about a minute on two cores.

# %%
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from keras_mtl import datasets

# %% [markdown]
# ## The script that every machine runs
#
# The same file everywhere, started at about the same time. What it minds, from top to bottom:
#
# - **The strategy comes first**, before TensorFlow does anything else. It waits until all workers are
#   there, and takes all GPUs of each.
# - **Seeds are equal on all workers.** Each one draws the order of the rows by itself and reads its
#   share of every batch, so the orders must agree.
# - **Model and `compile` go into the scope.** `fit`, `evaluate` and `predict` need none. All workers
#   call all three, with the same arguments, and all get all logs and all predictions.
# - **Batch sizes are global**: 250 rows are 125 on each of two workers with one device. With twice as
#   many workers, double the batch size, and think about the learning rate.
# - **The chief alone saves and exports.** Workers that write to one path would spoil each other's
#   file. Callbacks do not know about that: give each worker a folder of its own, as here for backups.
#
# `BackupAndRestore` writes weights, optimizer and the epoch's number after every epoch. All workers
# have to start at the same one, so the others take what the chief has. This asks for a folder that
# all machines see.

# %%
Path("train.py").write_text(
    """
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()

import json
import shutil
from pathlib import Path

import keras

from keras_mtl import Task, datasets, zoo

keras.utils.set_random_seed(0)
data = datasets.synthetic_tasks.load(num_tasks=2, num_train=2000, num_features=32)
parts = [(part.columns["features"], part.labels) for part in (data.train, data.valid, data.test)]
train, valid, test = parts

with strategy.scope():
    tasks = [Task(name, "regression") for name in train[1]]
    model = zoo.ple(32, tasks, expert_units=16, tower_units=8, seed=0)
    model.compile(keras.optimizers.Adam(0.01))

chief = strategy.extended.should_checkpoint
backup = Path("backup/chief" if chief else f"backup/{strategy.cluster_resolver.task_id}")
if not chief:
    shutil.rmtree(backup, ignore_errors=True)
    if Path("backup/chief").is_dir():
        shutil.copytree("backup/chief", backup)

callbacks = [
    keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True),
    keras.callbacks.BackupAndRestore(backup),
]
model.fit(*train, validation_data=valid, epochs=10, batch_size=250, callbacks=callbacks, verbose=0)
scores = model.evaluate(*test, batch_size=250, return_dict=True, verbose=0)

if chief:
    Path("scores.json").write_text(json.dumps(scores))
    model.save("model.keras")
    model.export("export/1")
"""
)

# %% [markdown]
# ## TF_CONFIG
#
# An environment variable tells each process who is there and which of them it is. `cluster` is the
# same for all; `task` differs by its index. Worker 0 is the chief. Kubernetes operators and most
# clouds write it for you; by hand, on the first of two machines, it is
#
# ```
# export TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
#                    "task": {"type": "worker", "index": 0}}'
# python train.py
# ```
#
# and on the second one the same with `"index": 1`. Without `TF_CONFIG`, the script trains alone.


# %%
def free_addresses(count):
    """Addresses on this computer that nobody uses."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def train(folder, workers):
    """Runs the script in a folder, once for each worker; returns what the chief wrote."""
    Path(folder).mkdir()
    script = Path("train.py").resolve()
    started = []
    for index, _ in enumerate(workers):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        if len(workers) > 1:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
        started.append(subprocess.Popen([sys.executable, script], cwd=folder, env=environment))
    try:
        assert [each.wait(timeout=600) for each in started] == [0] * len(workers)
    finally:
        for each in started:
            each.kill()
    return json.loads(Path(folder, "scores.json").read_text())


together = train("together", free_addresses(2))
alone = train("alone", ["this computer"])
for name in sorted(together):
    print(f"{name:<12} two workers {together[name]:.5f}, one {alone[name]:.5f}")

# %% [markdown]
# ## When a machine dies
#
# The others cannot go on without its share. Within seconds they end with an `UnavailableError`. Start
# the whole job again, as cluster managers do: it goes on after the last epoch that was backed up, and
# ends with the weights of a run in which nothing had happened, to the last bit. Dropout goes on with
# the draws it would have made. Two conditions:
#
# - **Rows come in the same order in every epoch.** So they do with arrays after `set_random_seed`. A
#   `tf.data` pipeline that shuffles anew in every epoch starts with its first order again; the result
#   is as good, but not the same.
# - **`EarlyStopping` forgets** what it saw before the restart: its patience begins anew.
#
# Backups that are an epoch apart, from a machine that died while it wrote, are refused before the
# first step: `Workers must start at the same step`. The copy above keeps that from happening.
#
# ## Two more things
#
# - **Batch normalization** needs rows on every device in every batch. Where the last batch of an
#   epoch is too small for that, leave it out: `dataset.batch(250, drop_remainder=True)`. Everything
#   else takes batches of any size.
# - **A study** runs on a cluster with `keras-mtl run STUDY.toml --strategy multi_worker` on every
#   machine; the chief writes and reports.
#
# ## What to take along
#
# - Two workers and one process end with the same model.
# - What the chief saved is whole: it scores what the workers scored.

# %%
for name, value in alone.items():
    np.testing.assert_allclose(together[name], value, rtol=1e-2)

test = datasets.synthetic_tasks.load(num_tasks=2, num_train=2000, num_features=32).test
model = keras.saving.load_model("together/model.keras")
scores = model.evaluate(
    test.columns["features"], test.labels, batch_size=250, return_dict=True, verbose=0
)
for name, value in scores.items():
    np.testing.assert_allclose(value, together[name], rtol=1e-4)
assert Path("together/export/1/saved_model.pb").is_file()
assert scores["task_0_mse"] < 0.1 * np.var(test.labels["task_0"])
