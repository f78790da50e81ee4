"""Weights load into a model of their own tasks and of their own table, and into no other."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, features, zoo
from keras_mtl.training import saved_names

ROWS = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
LABELS = {name: np.arange(8) % 2 for name in ("click", "like")}
# Keras' word on every layer that fails, whatever the reason.
KERAS_ADDS = pytest.mark.filterwarnings("ignore:Skipping nested container")
FORMATS = ("a.weights.h5", "a.keras", "a.weights.json")


def shared_bottom(tasks: Sequence[str], seed: int = 0) -> MultiTaskModel:
    return zoo.shared_bottom(4, tasks, bottom_units=3, tower_units=2, seed=seed)


def own_heads(tasks: Sequence[str], seed: int = 0) -> MultiTaskModel:
    """A head per task, made in the order of the tasks."""
    inputs = keras.Input((4,), name="features")
    heads = {
        name: keras.layers.Dense(1, "sigmoid", kernel_initializer=drawn(seed, name))(inputs)
        for name in tasks
    }
    return MultiTaskModel(inputs=inputs, outputs=heads, tasks=tasks)


def slices(tasks: Sequence[str], seed: int = 0) -> MultiTaskModel:
    """Slices of one stack, in the order of the tasks."""
    return picked(tasks, seed, lambda stack, place: stack[:, place : place + 1])


def unstacked(tasks: Sequence[str], seed: int = 0) -> MultiTaskModel:
    return picked(
        tasks, seed, lambda stack, place: keras.ops.unstack(stack[..., None], axis=1)[place]
    )


def taken(tasks: Sequence[str], seed: int = 0) -> MultiTaskModel:
    return picked(tasks, seed, lambda stack, place: keras.ops.take(stack, [place - 2], axis=-1))


def picked(
    tasks: Sequence[str], seed: int, pick: Callable[[Any, int], keras.KerasTensor]
) -> MultiTaskModel:
    inputs = keras.Input((4,), name="features")
    stack = keras.layers.Dense(2, "sigmoid", kernel_initializer=drawn(seed, "stack"))(inputs)
    outputs = {name: pick(stack, place) for place, name in enumerate(tasks)}
    return MultiTaskModel(inputs=inputs, outputs=outputs, tasks=tasks)


def drawn(seed: int, name: str) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(seed=seed + len(name))


def saved(model: MultiTaskModel, path: Path) -> Path:
    if path.suffix == ".keras":
        model.save(path)
    else:
        model.save_weights(path, **({"max_shard_size": 1.0} if path.suffix == ".json" else {}))
    return path


MODELS = [shared_bottom, own_heads, slices, unstacked, taken]


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("form", FORMATS)
def test_weights_of_the_same_tasks_load(make: Any, form: str, tmp_path: Path) -> None:
    old, new = make(["click", "like"]), make(["click", "like"], seed=7)
    new.load_weights(saved(old, tmp_path / form))
    expected = old.predict_on_batch(ROWS)
    for name, values in new.predict_on_batch(ROWS).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6)


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("skip_mismatch", [False, True])
def test_weights_of_other_tasks_are_refused_and_nothing_is_written(
    make: Any, form: str, skip_mismatch: bool, tmp_path: Path
) -> None:
    path = saved(make(["click", "like"]), tmp_path / form)
    model = make(["like", "share"], seed=7)
    before = model.get_weights()
    words = r"\['like', 'share'\].* Received: weights of tasks \['click', 'like'\]"
    with pytest.raises(ValueError, match=words):
        model.load_weights(path, skip_mismatch=skip_mismatch)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("tasks", [["click"], ["click", "like", "share"]])
def test_a_part_of_the_tasks_is_other_tasks(tasks: list[str], tmp_path: Path) -> None:
    path = saved(shared_bottom(["click", "like"]), tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="Received: weights of tasks"):
        shared_bottom(tasks).load_weights(path)


@pytest.mark.parametrize("make", [shared_bottom, own_heads])
def test_the_order_of_tasks_changes_nothing(make: Any, tmp_path: Path) -> None:
    old, new = make(["click", "like"]), make(["like", "click"], seed=7)
    new.load_weights(saved(old, tmp_path / "a.weights.h5"))
    expected = old.predict_on_batch(ROWS)
    for name, values in new.predict_on_batch(ROWS).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6)


@pytest.mark.parametrize("make", [slices, unstacked, taken])
def test_a_stack_of_ones_own_in_another_order_is_refused(make: Any, tmp_path: Path) -> None:
    path = saved(make(["click", "like"]), tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match=r"another order.*'click'"):
        make(["like", "click"]).load_weights(path)


def test_one_stack_read_in_two_ways_is_the_same_stack(tmp_path: Path) -> None:
    old, new = slices(["click", "like"]), taken(["click", "like"], seed=7)
    new.load_weights(saved(old, tmp_path / "a.weights.h5"))
    np.testing.assert_allclose(
        new.predict_on_batch(ROWS)["like"], old.predict_on_batch(ROWS)["like"], rtol=1e-6
    )


def test_what_both_share_is_handed_over_layer_by_layer() -> None:
    """The way that the sentence names."""
    old, new = shared_bottom(["click", "like"]), shared_bottom(["like", "share"], seed=7)
    bottom = old.get_layer("bottom")
    new.get_layer("bottom").set_weights(bottom.get_weights())
    np.testing.assert_array_equal(new.get_layer("bottom").weights[0], bottom.weights[0])


def test_checkpoints_and_backups_are_compared(tmp_path: Path) -> None:
    model = shared_bottom(["click", "like"])
    model.compile("sgd")
    path = tmp_path / "best.weights.h5"
    best = keras.callbacks.ModelCheckpoint(path, "loss", save_weights_only=True)
    model.fit(ROWS, LABELS, callbacks=[best], verbose=0)
    shared_bottom(["click", "like"], seed=7).load_weights(path)
    with pytest.raises(ValueError, match="Received: weights of tasks"):
        shared_bottom(["like", "share"]).load_weights(path)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    model.fit(ROWS, LABELS, epochs=1, callbacks=[backup], verbose=0)
    other = shared_bottom(["like", "share"])
    other.compile("sgd")
    labels = {"like": LABELS["like"], "share": LABELS["like"]}
    with pytest.raises(ValueError, match="Received: weights of tasks"):
        other.fit(ROWS, labels, callbacks=[backup], verbose=0)


def test_a_model_inside_a_larger_one_is_compared(tmp_path: Path) -> None:
    def larger(tasks: Sequence[str]) -> keras.Model:
        inputs = keras.Input((4,), name="rows")
        return keras.Model(inputs, shared_bottom(tasks)(inputs))

    path = tmp_path / "a.weights.h5"
    larger(["click", "like"]).save_weights(path)
    larger(["click", "like"]).load_weights(path)
    with pytest.raises(ValueError, match="Received: weights of tasks"):
        larger(["like", "share"]).load_weights(path)


# --- tables ---


def table_of(words: str) -> features.TabularFeatures:
    table = features.TabularFeatures(categorical=["letter"], embedding_dim=3)
    return table.adapt({"letter": np.array([*words])})


def on_table(words: str, seed: int = 0) -> MultiTaskModel:
    return zoo.shared_bottom(table_of(words), ["click"], bottom_units=3, seed=seed)


@pytest.mark.parametrize("form", FORMATS)
def test_weights_of_the_same_vocabulary_load(form: str, tmp_path: Path) -> None:
    old, new = on_table("aaabbc"), on_table("aaabbc", seed=7)
    new.load_weights(saved(old, tmp_path / form))
    for weight, value in zip(new.get_weights(), old.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("form", FORMATS)
def test_weights_of_another_vocabulary_are_refused(form: str, tmp_path: Path) -> None:
    path = saved(on_table("aaabbc"), tmp_path / form)
    model = on_table("cccbba", seed=7)
    before = model.get_weights()
    mine, other = table_of("cccbba").fingerprint, table_of("aaabbc").fingerprint
    with pytest.raises(ValueError, match=f"{mine}. Received: .*{other}"):
        model.load_weights(path)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@KERAS_ADDS
def test_skip_mismatch_skips_the_other_table_alone(tmp_path: Path) -> None:
    old, new = on_table("aaabbc"), on_table("cccbba", seed=7)
    embeddings = next(layer for layer in new.layers if hasattr(layer, "table"))
    before = embeddings.get_weights()
    path = saved(old, tmp_path / "a.weights.h5")
    with pytest.warns(UserWarning, match=table_of("aaabbc").fingerprint):
        new.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(embeddings.get_weights()[0], before[0])
    np.testing.assert_array_equal(
        new.get_layer("bottom").get_weights()[0], old.get_layer("bottom").get_weights()[0]
    )


def two_embeddings(seed: int = 0) -> MultiTaskModel:
    return zoo.single_task(
        table_of("aaabbc"), ["click", "like"], hidden_units=3, tower_units=2, seed=seed
    )


@pytest.mark.parametrize("form", FORMATS)
def test_weights_of_two_embeddings_of_one_table_load_after_a_reload(
    form: str, tmp_path: Path
) -> None:
    old = two_embeddings()
    reloaded = keras.saving.load_model(saved(old, tmp_path / "model.keras"))
    for source, target in ((reloaded, two_embeddings(7)), (two_embeddings(7), reloaded)):
        target.load_weights(saved(source, tmp_path / form))
        for weight, value in zip(target.get_weights(), source.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, value)


def test_files_that_list_a_table_per_embedding_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = saved_names._names(two_embeddings())
    twice = names | {"tables": names["tables"] * 2}
    with monkeypatch.context() as patch:
        patch.setattr(saved_names, "_names", lambda model: twice)
        path = saved(two_embeddings(), tmp_path / "a.weights.h5")
    two_embeddings(7).load_weights(path)


class Lookup(keras.layers.Layer):
    """A layer of a user's own, whose table is none of ours."""

    table = "words"

    def call(self, x: Any) -> Any:
        return x


def test_a_layer_of_ones_own_may_have_a_table(tmp_path: Path) -> None:
    inputs = keras.Input((4,), name="features")
    heads = {"click": keras.layers.Dense(1, "sigmoid")(Lookup()(inputs))}
    model = MultiTaskModel(inputs=inputs, outputs=heads, tasks=["click"])
    assert model.features is None
    model.load_weights(saved(model, tmp_path / "a.weights.h5"))


@KERAS_ADDS
def test_any_model_on_a_table_compares_vocabularies(tmp_path: Path) -> None:
    def plain(words: str) -> keras.Model:
        table = table_of(words)
        return keras.Model(table.inputs, keras.layers.Dense(1)(table.embed()))

    path = tmp_path / "a.weights.h5"
    plain("aaabbc").save_weights(path)
    plain("aaabbc").load_weights(path)
    with pytest.raises(ValueError, match="Received: weights of a table"):
        plain("cccbba").load_weights(path)


def test_a_saved_model_goes_on_with_its_names(tmp_path: Path) -> None:
    model = keras.saving.load_model(saved(on_table("aaabbc"), tmp_path / "a.keras"))
    assert [task.name for task in model.tasks] == ["click"]
    on_table("aaabbc", seed=7).load_weights(saved(model, tmp_path / "b.weights.h5"))
