# %% [markdown]
# # From a CSV file to TF Serving
#
# A video shop logs what it showed to whom. We predict three things for each row:
#
# - `click`: was the offer clicked?
# - `conversion`: was it bought? That question only exists after a click.
# - `watch_hours`: how long was it watched? Known for some of the buyers only.
#
# We read the log, train PLE, export it, and ask the export a question as a server would.
# Runs in about half a minute on two cores.

# %%
import csv
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import Task, features, zoo

keras.utils.set_random_seed(0)

# %% [markdown]
# ## A log to work with
#
# In your own project, skip this cell: you have the file. We write one with 20,000 rows. Young people
# click more, users and items differ in taste, and a longer item is watched longer.


# %%
def write_log(path, rows=20_000):
    """Offers shown, clicks, purchases and minutes watched; an empty field is not known."""
    random = np.random.default_rng(0)
    user, item = random.integers(400, size=rows), random.integers(80, size=rows)
    age = np.round(random.normal(40, 12, rows).clip(16, 90))
    device = random.choice(["phone", "laptop", "television"], rows, p=[0.6, 0.25, 0.15])
    liking = random.normal(0, 1, 400)[user] + random.normal(0, 1, 80)[item]
    chance = 1 / (1 + np.exp(1.5 - liking + 0.04 * (age - 40)))
    click = random.random(rows) < chance
    bought = click & (random.random(rows) < 0.6 * chance + 0.3 * (device == "television"))
    minutes = random.gamma(4, 5 + random.random(80)[item] * 20)
    known = bought & (random.random(rows) < 0.7)
    with open(path, "w", newline="") as file:
        log = csv.writer(file)
        log.writerow(["user", "item", "device", "age", "click", "conversion", "watch_minutes"])
        for i in range(rows):
            log.writerow(
                [
                    f"u{user[i]}",
                    f"i{item[i]}",
                    device[i],
                    "" if i % 17 == 0 else int(age[i]),  # some users do not tell their age
                    int(click[i]),
                    int(bought[i]) if click[i] else "",
                    f"{minutes[i]:.1f}" if known[i] else "",
                ]
            )


write_log("log.csv")

# %% [markdown]
# ## Reading it
#
# A column is an array; a data frame from `pandas.read_csv` would do as well. An empty number becomes
# NaN, which means "missing" in features and labels alike. Hours instead of minutes, since labels of
# about size one train best.

# %%
with open("log.csv", newline="") as file:
    header, *lines = csv.reader(file)
text = dict(zip(header, np.array(lines, dtype=object).T, strict=True))


def numbers(name):
    """A column as floats, NaN where the field is empty."""
    return np.array([float(field) if field else np.nan for field in text[name]], "float32")


columns = {"user": text["user"], "item": text["item"], "device": text["device"]}
columns["age"] = numbers("age")
labels = {"click": numbers("click"), "conversion": numbers("conversion")}
labels["watch_hours"] = numbers("watch_minutes") / 60
for name, values in labels.items():
    print(f"{name:<14} {np.isfinite(values).mean():6.1%} labelled, mean {np.nanmean(values):.2f}")


def rows(start, stop):
    """Columns and labels of some rows; the last part of the log is the latest."""
    part = slice(start, stop)
    return {k: v[part] for k, v in columns.items()}, {k: v[part] for k, v in labels.items()}


train, valid, test = rows(0, 14_000), rows(14_000, 17_000), rows(17_000, 20_000)

# %% [markdown]
# ## Features
#
# The table learns vocabularies and quantiles from the training rows, and encodes raw columns into a
# few packed arrays. It becomes a part of the model, so nobody has to repeat the encoding elsewhere.

# %%
table = features.TabularFeatures(
    [
        features.Category("user", min_count=3),
        features.Category("item", min_count=3),
        features.Category("device", dim=4),
        features.Numeric("age"),
    ],
    embedding_dim=8,
)
table.adapt(train[0])
packed = {name: table.encode(part[0]) for name, part in (("train", train), ("valid", valid))}
print({name: (array.shape, str(array.dtype)) for name, array in packed["train"].items()})

# %% [markdown]
# ## Tasks
#
# `given="click"`: the conversion exists only where the click label is 1. With `trained_on="all"` its
# loss is on the product P(click) x P(conversion given click) over *all* rows, so that the model
# learns from offers that nobody clicked, too, and is not biased towards the rows that were (Ma et
# al., Entire Space Multi-Task Model, SIGIR 2018).

# %%
tasks = [
    Task("click"),
    Task("conversion", given="click", trained_on="all"),
    Task("watch_hours", "regression"),
]
model = zoo.ple(table, tasks, levels=2, shared_experts=2, task_experts=1, dropout=0.1, seed=0)
model.compile(keras.optimizers.Adam(2e-3))
model.fit(
    packed["train"],
    train[1],
    validation_data=(packed["valid"], valid[1]),
    epochs=6,
    batch_size=256,
    callbacks=[keras.callbacks.EarlyStopping("val_click_auc", mode="max", patience=2)],
    verbose=2,
)

# %% [markdown]
# ## What it achieved on rows it has not seen

# %%
scores = model.evaluate(
    table.encode(test[0]), test[1], batch_size=1000, return_dict=True, verbose=0
)
print(f"AUC of click {scores['click_auc']:.3f}, of conversion {scores['conversion_auc']:.3f}")

# %% [markdown]
# ## Saving and exporting
#
# The `.keras` file is for those who go on training. The export is for the server: its last folder is
# a version number, and TF Serving loads the highest one.

# %%
model.save("shop.keras")
model.export("export/shop/1")

# %% [markdown]
# ## Serving
#
# From a shell, in the folder that holds `export`:
#
# ```
# docker run --rm -p 8501:8501 -e MODEL_NAME=shop \
#     -v "$PWD/export/shop:/models/shop" tensorflow/serving
# ```
#
# A request has raw columns by name: no vocabulary, no scaling on the client's side. Users that the
# model has never seen are welcome.

# %%
instances = [
    {"user": "u17", "item": "i3", "device": "television", "age": 31.0},
    {"user": "somebody new", "item": "i5", "device": "phone", "age": 52.0},
]
request = {"signature_name": "serving_default", "instances": instances}
print(f"curl -X POST http://localhost:8501/v1/models/shop:predict -d '{json.dumps(request)}'")

# %% [markdown]
# The answer. We let the export itself give it, fed with what the request says, which is what the
# server does. `serve` takes a dict by column, whatever a column is called (`zip-code`, `class`), and
# tells in which dtype it wants each. `keras.layers.TFSMLayer("export/shop/1", call_endpoint="serve")`
# is the same as a layer; columns that float32 does not resolve, such as time stamps, need
# `dtype="float64"` there.

# %%
served = tf.saved_model.load("export/shop/1")
(kinds,), _ = served.serve.concrete_functions[0].structured_input_signature
sent = json.loads(json.dumps(request))["instances"]
feeds = {name: tf.constant([row[name] for row in sent], kind.dtype) for name, kind in kinds.items()}
outputs = {name: tensor.numpy().tolist() for name, tensor in served.serve(feeds).items()}
predictions = [{name: outputs[name][i] for name in sorted(outputs)} for i in range(len(sent))]
print(json.dumps({"predictions": predictions}).replace("{", "\n{"))

# %% [markdown]
# `conversion` is the chance of a purchase after a click; `conversion_joint` is the chance that the
# offer is clicked *and* bought, the figure to rank by. Each task also has a signature of its own
# name, which computes that task alone: `"signature_name": "click"`.
#
# ## What to take along
#
# - The export reads raw columns and answers as the model does.
# - So does the model that is loaded from its file: the table came along.
# - The joint chance is the product of the two.

# %%
assert scores["click_auc"] > 0.7
assert scores["conversion_auc"] > 0.55

raw = {name: np.array([row[name] for row in instances]) for name in kinds}
reloaded = keras.saving.load_model("shop.keras")
expected = reloaded.predict(reloaded.features.encode(raw), verbose=0)
for name, values in expected.items():
    np.testing.assert_allclose(outputs[name], values, rtol=1e-5, atol=1e-6)
joint = np.multiply(outputs["click"], outputs["conversion"])
np.testing.assert_allclose(outputs["conversion_joint"], joint, rtol=1e-5)
assert Path("export/shop/1/saved_model.pb").is_file()
