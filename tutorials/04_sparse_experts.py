# %% [markdown]
# # Sparse experts: more capacity for the same work
#
# In a Switch Transformer a token's feed-forward layer is one of many experts, chosen by a small
# router. Eight experts hold eight times the weights, and each token still pays for one. Here such a
# model tags words, is fine-tuned, and is then distilled into a small dense model that we export.
#
# Runs in about a minute on a laptop. Nothing is downloaded.

# %%
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_mtl import Task, zoo

keras.utils.set_random_seed(0)

# %% [markdown]
# ## The data
#
# Sentences in eight dialects. The first word is the dialect's greeting; what tag and what role another
# word has depends on word *and* dialect, so that there is much to remember. Id 0 is padding. Labels
# are (rows, places), with -1, a missing label, where there is no word.
#
# Many sentences were labelled by a machine, which takes the last three dialects for the first three;
# few were labelled by hand.

# %%
DIALECTS, WORDS, CLASSES, LENGTH = 8, 60, 4, 8
random = np.random.default_rng(0)
BY_HAND = {task: random.integers(0, CLASSES, (DIALECTS, WORDS)) for task in ("role", "tag")}
BY_MACHINE = {task: np.concatenate([table[:5], table[:3]]) for task, table in BY_HAND.items()}


def sentences(rows, tables):
    """Token ids (rows, LENGTH), and what the tables say of each."""
    dialect = random.integers(0, DIALECTS, (rows, 1))
    word = random.integers(0, WORDS, (rows, LENGTH - 1))
    ids = np.concatenate([1 + dialect, 1 + DIALECTS + word], axis=1)
    there = np.arange(LENGTH) < random.integers(4, LENGTH + 1, (rows, 1))
    labels = {}
    for task, table in tables.items():
        label = np.full(ids.shape, -1)  # a greeting has no tag
        label[:, 1:] = np.where(there[:, 1:], table[dialect, word], -1)
        labels[task] = label
    return np.where(there, ids, 0).astype("int32"), labels


x_machine, by_machine = sentences(2500, BY_MACHINE)
x_hand, by_hand = sentences(500, BY_HAND)
x_test, test = sentences(500, BY_HAND)

# %% [markdown]
# ## The model
#
# Every second layer is sparse, with eight experts. While training an expert takes at most 1.25 times
# its even share of the tokens; tokens that find no room pass by it on the residual stream. A balance
# loss keeps the router from sending all of them to one expert. In evaluation no token is dropped, so
# that a prediction does not depend on the other sentences of its batch.

# %%
TASKS = [Task(name, "multiclass", units=CLASSES) for name in BY_HAND]


def transformer(**options):
    return zoo.switch_transformer(
        keras.Input((LENGTH,), dtype="int32", name="tokens"),
        TASKS,
        vocabulary_size=1 + DIALECTS + WORDS,
        max_length=LENGTH,
        num_layers=2,
        num_heads=2,
        model_units=32,
        hidden_units=64,
        num_experts=8,
        seed=0,
        **options,
    )


def scores(model):
    logs = model.evaluate(x_test, test, batch_size=500, return_dict=True, verbose=0)
    return {task: round(logs[f"{task}_accuracy"], 3) for task in BY_HAND}


switch = transformer()
switch.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
history = switch.fit(x_machine, by_machine, epochs=8, batch_size=100, verbose=0).history
print("after training on the machine's labels:", scores(switch))

# %% [markdown]
# ## Are the experts used?
#
# `fit` logs what the routers did, under `moe/` and the layer's name: `load_0` and so on, the share of
# tokens that asked for each expert; `dropped`, the share that found no room; `entropy`, how undecided
# the router is, in nats, log(8) = 2.08 at most; `balance_loss`, 1 where all experts are used alike.
# Watch `dropped`: where it stays high, raise `balance_loss` or `capacity_factor`.

# %%
for name in ("dropped", "entropy", "balance_loss"):
    first, *_, last = history[f"moe/switch_2/{name}"]
    print(f"{name:>12}: {first:.3f} in the first epoch, {last:.3f} in the last")
loads = [history[f"moe/switch_2/load_{expert}"][-1] for expert in range(8)]
for expert, load in enumerate(loads):
    print(f"expert {expert} {'#' * round(200 * load)} {load:.1%}")

# %% [markdown]
# ## Fine-tuning
#
# A sparse model has many weights for few examples and overfits easily. The paper's answer is to drop
# many hidden units inside the experts and few elsewhere. These are other options of the same model,
# and the weights are the same, in the same order.

# %%
tuned = transformer(expert_dropout=0.4, dropout=0.1)
tuned.set_weights(switch.get_weights())
tuned.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
tuned.fit(x_hand, by_hand, epochs=20, batch_size=50, verbose=0)
print("after fine-tuning:", scores(tuned))

# %% [markdown]
# ## Distillation
#
# Serving wants a small model. `sparse_every=0` is the dense transformer of equal work. It starts from
# all weights of its teacher but those of the sparse layers, and learns from the teacher's
# probabilities and, three parts in four, from the labels: the paper's recipe. What the teacher says
# needs no label: of the machine's sentences we take the words alone.
#
# Keras' own `Distiller` does the training. It softens probabilities by a temperature, so it wants
# logits. Tasks with equally many classes share one layer of logits, (B, S, tasks, classes), its tasks
# in the order of their names. `moveaxis` puts the tasks first, and drops the mask, which would not
# fit. `ignore_class` leaves out missing labels; padding is distilled along.
#
# Tasks of different widths have several such layers. Keras' distiller (3.15) takes no dict of losses
# for the labels; without labels, `student_loss_weight=0`, it distils any multi-task model as it is,
# by `FeatureDistillation(loss={"tag": "kl_divergence", ...})`.

# %%
student = transformer(sparse_every=0)
of_teacher = {weight.path: weight for weight in tuned.weights}
for weight in student.weights:
    if weight.path in of_teacher:
        weight.assign(of_teacher[weight.path])


def logits_of(model):
    """The same layers up to the logits, (B, tasks, S, classes)."""
    return keras.Model(model.input, keras.ops.moveaxis(model.get_layer("logits").output, -2, 1))


distiller = keras.distillation.Distiller(
    teacher=logits_of(tuned),
    student=logits_of(student),
    distillation_losses=keras.distillation.LogitsDistillation(temperature=2.0),
    student_loss_weight=0.75,
)
distiller.compile(
    keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
)
x_both = np.concatenate([x_machine, x_hand])
y_both = np.full((len(x_both), 2, LENGTH), -1)
y_both[len(x_machine) :] = np.stack([by_hand["role"], by_hand["tag"]], axis=1)
distiller.fit(x_both, y_both, epochs=8, batch_size=100, verbose=0)
student.compile(metrics=["accuracy"])

print(f"{'':10}{'weights':>10}  accuracy")
for name, model in {"switch": switch, "tuned": tuned, "student": student}.items():
    print(f"{name:10}{model.count_params():10}  {scores(model)}")

# %% [markdown]
# ## Export
#
# The student was trained through the distiller, but it is a model like any other: its layers hold
# the weights. A prediction of the teacher has no noise, and may be exported just as well.

# %%
path = Path(tempfile.mkdtemp()) / "student"
student.export(path)

# %% [markdown]
# ## What to take along
#
# - No expert is idle, and none takes all.
# - A few sentences labelled by hand corrected what the machine had wrong.
# - The dense student, which saw all sentences and went on with those labels, is no worse here, with
#   less than half of the weights. The sentences are simple; where they are not, capacity counts.

# %%
import tensorflow as tf  # noqa: E402

assert min(loads) > 0.03
assert max(loads) < 0.4
assert scores(tuned)["tag"] > scores(switch)["tag"] + 0.05
assert scores(student)["tag"] > scores(switch)["tag"] + 0.05
assert student.count_params() < tuned.count_params() / 2

serve = tf.saved_model.load(path).signatures["serving_default"]
served = serve(tokens=tf.constant(x_test[:3]))
np.testing.assert_allclose(served["tag"], student.predict(x_test, verbose=0)["tag"][:3], atol=1e-5)
