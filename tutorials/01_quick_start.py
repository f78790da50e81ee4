# %% [markdown]
# # Quick start: one model, two things to predict
#
# Some customers told us how much they like our shop (a number); of some we know whether they came
# back (yes or no). Few told us both. We train one model on all of them.
#
# Runs in well under a minute on a laptop. Nothing is downloaded.

# %%
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import Task, datasets, zoo

keras.utils.set_random_seed(0)

# %% [markdown]
# ## The data
#
# `synthetic_tasks` draws related regression tasks: the weight vectors behind the two labels have a
# cosine of 0.9. We turn the second label into yes or no.

# %%
data = datasets.synthetic_tasks.load(num_tasks=2, correlation=0.9, num_features=64)


def labels_of(split):
    """The first task as it is, the second one as 1 or 0."""
    liking, coming_back = split.labels["task_0"], split.labels["task_1"]
    return {"liking": liking, "came_back": (coming_back > 0).astype("int32")}


train, valid, test = (labels_of(split) for split in (data.train, data.valid, data.test))
x_train, x_valid, x_test = (
    split.columns["features"] for split in (data.train, data.valid, data.test)
)

# %% [markdown]
# ## Missing labels
#
# NaN marks a missing number, -1 a missing class. Such an entry is left out of the task's loss and
# metrics; the row still trains the other task. Here half of the labels of each task go.

# %%
random = np.random.default_rng(0)
train["liking"] = np.where(random.random(len(x_train)) < 0.5, np.nan, train["liking"])
train["came_back"] = np.where(random.random(len(x_train)) < 0.5, -1, train["came_back"])

# %% [markdown]
# ## The model
#
# A `Task` says what a label is; it brings its loss and its metrics along. PLE has experts that both
# tasks share and experts of each task's own, and learns which to listen to.

# %%
tasks = [Task("liking", "regression"), Task("came_back")]
model = zoo.ple(64, tasks, levels=2, shared_experts=2, task_experts=1, seed=0)
model.compile("adam")

# %% [markdown]
# ## Training
#
# Labels are a dict by task name. Everything else is as in Keras: callbacks, validation data, logs.

# %%
history = model.fit(
    x_train,
    train,
    validation_data=(x_valid, valid),
    epochs=5,
    batch_size=256,
    callbacks=[
        keras.callbacks.EarlyStopping("val_came_back_auc", mode="max", restore_best_weights=True)
    ],
    verbose=2,
)

# %% [markdown]
# ## What it achieved
#
# Every task has its own loss and metrics. The figure to beat for `liking` is the error of always
# answering with the mean, which is the label's variance; for an AUC it is 0.5.

# %%
scores = model.evaluate(x_test, test, batch_size=1000, return_dict=True, verbose=0)
variance = float(np.var(test["liking"]))
print(f"liking:    mean squared error {scores['liking_mse']:.3f}, variance {variance:.3f}")
print(f"came_back: AUC {scores['came_back_auc']:.3f}")

# %% [markdown]
# ## Saving
#
# One file holds model, tasks and the state of `compile`. Who loads it imports `keras_mtl`, and needs
# no `custom_objects`.

# %%
path = Path(tempfile.mkdtemp()) / "quick_start.keras"
model.save(path)
reloaded = keras.saving.load_model(path)
predictions = model.predict(x_test, verbose=0)
print({name: values.shape for name, values in predictions.items()})

# %% [markdown]
# ## A loop of your own
#
# Where `fit` is not enough, `compute_loss` gives a batch's loss from predictions: the tasks' losses,
# weighted, without missing labels, and what layers and regularisers add. The `train_step` of Keras'
# guides works as well.

# %%
looped = zoo.ple(64, tasks, levels=2, shared_experts=2, task_experts=1, seed=0)
looped.compile("adam")
batches = tf.data.Dataset.from_tensor_slices((x_train, train)).shuffle(10_000, seed=0).batch(256)


@tf.function
def step(x: tf.Tensor, y: dict[str, tf.Tensor]) -> None:
    with tf.GradientTape() as tape:
        loss = looped.compute_loss(x, y, looped(x, training=True))
    weights = looped.trainable_variables
    looped.optimizer.apply(tape.gradient(loss, weights), weights)


for epoch in range(5):
    looped.reset_metrics()
    for x, y in batches:
        step(x, y)
    print(f"epoch {epoch + 1}: loss {looped.get_metrics_result()['loss']:.3f}")

looped_scores = looped.evaluate(x_test, test, batch_size=1000, return_dict=True, verbose=0)

# %% [markdown]
# ## What to take along
#
# - Both tasks were learned, each from the rows that have its label.
# - A missing label changes nothing: the test score of `came_back` is the same whether the other
#   task's labels are there or not.
# - The reloaded model predicts the same.
# - A loop of one's own reaches what `fit` does.

# %%
assert scores["liking_mse"] < 0.5 * variance
assert scores["came_back_auc"] > 0.8

hidden = {**test, "liking": np.full_like(test["liking"], np.nan)}
without = reloaded.evaluate(x_test, hidden, batch_size=1000, return_dict=True, verbose=0)
assert np.isclose(without["came_back_loss"], scores["came_back_loss"], rtol=1e-5)

again = reloaded.predict(x_test, verbose=0)
for name, values in predictions.items():
    np.testing.assert_allclose(again[name], values, rtol=1e-5, atol=1e-6)
assert looped_scores["liking_mse"] < 0.5 * variance
assert looped_scores["came_back_auc"] > 0.8
