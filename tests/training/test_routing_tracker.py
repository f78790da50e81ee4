"""What `fit` logs of sparse layers under `moe/`: figures of NumPy over the epoch."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task, zoo
from keras_mtl.layers import MoE, SwitchFFN
from tests.layers.sparse_twins import draw, prepared, twin

DEPTH = 4
ROWS = 23


def make_model(*layers, shape=(DEPTH,), mask=False, **compiled) -> MultiTaskModel:
    """One task on the sum of sparse layers that read the same features."""
    features = keras.Input(shape, name="features")
    x = keras.layers.Masking()(features) if mask else features
    x = sum((layer(x) for layer in layers[1:]), layers[0](x))
    x = x if len(shape) == 1 else keras.layers.Flatten()(x)
    outputs = {"click": keras.layers.Dense(1, activation="sigmoid")(x)}
    model = MultiTaskModel(inputs=features, outputs=outputs, tasks=[Task("click")])
    # Eager unless a test asks for a way to run: tracing takes most of the time.
    model.compile(keras.optimizers.SGD(0.0), **(compiled or {"run_eagerly": True}))
    return model


def quiet_layers() -> list:
    mixture = MoE(5, DEPTH, top_k=3, noisy=False, num_groups=2, name="mixture")
    switch = SwitchFFN(
        3,
        6,
        jitter=0.0,
        capacity_factor=0.6,
        eval_capacity_factor=1.2,
        min_capacity=1,
        router_z_loss=0.02,
        name="switch",
    )
    return [prepared(mixture, DEPTH), prepared(switch, DEPTH)]


def expected_figures(layer, batches, masks=None, training=True) -> dict[str, float]:
    """Sums over the batches of what the twin says, divided at the end."""
    masks = [None] * len(batches) if masks is None else masks
    routed = [twin(layer, x, m, training) for x, m in zip(batches, masks, strict=True)]
    load = sum(one.load for one in routed)
    figures = {f"load_{e}": value / load.sum() for e, value in enumerate(load)}
    if layer.num_experts > 16:
        figures = {"load_min": min(figures.values()), "load_max": max(figures.values())}
    figures["dropped"] = sum(one.dropped for one in routed) / load.sum()
    figures["entropy"] = sum(one.entropy for one in routed) / (load.sum() / layer.top_k)
    for name in routed[0].losses:
        figures[name] = np.mean([one.losses[name] for one in routed])
    return {f"moe/{layer.name}/{name}": value for name, value in figures.items()}


def batches_of(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def moe_logs(logs: dict) -> dict:
    return {name: value for name, value in logs.items() if "moe/" in name}


def labels(rows: np.ndarray) -> dict[str, np.ndarray]:
    return {"click": (rows.reshape(len(rows), -1)[:, 0] > 0).astype(int)}


HOW_RUN = {1: {"run_eagerly": True}, 5: {"jit_compile": True}, 16: {"jit_compile": False}}


@pytest.mark.parametrize(
    "batch_size",
    [pytest.param(1, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow), 16],
)
def test_logs_are_the_figures_of_the_epoch_whatever_the_batch_size(batch_size):
    layers = quiet_layers()
    model = make_model(*layers, **HOW_RUN[batch_size])
    rows, unseen = draw(ROWS, DEPTH), draw(13, DEPTH, seed=2)
    logs = model.fit(
        rows,
        labels(rows),
        validation_data=(unseen, labels(unseen)),
        batch_size=batch_size,
        epochs=2,
        shuffle=False,
        verbose=0,
    ).history
    expected = {}
    for layer in layers:
        expected |= expected_figures(layer, batches_of(rows, batch_size))
        validated = expected_figures(layer, batches_of(unseen, batch_size), training=False)
        expected |= {f"val_{name}": value for name, value in validated.items()}
    assert moe_logs(logs).keys() == expected.keys()
    for name, value in expected.items():
        # Equal in both epochs: none leaks into the next.
        assert logs[name] == pytest.approx([value, value], rel=1e-4, abs=1e-6), name
    assert batch_size == 1 or logs["moe/switch/dropped"][0] > 0.1
    # What is added to the loss is a mean over steps, as these are.
    weights = {f"moe/mixture/{name}": 0.01 for name in ("importance_loss", "load_loss")}
    weights |= {"moe/switch/balance_loss": 0.01, "moe/switch/router_z_loss": 0.02}
    added = sum(weight * logs[name][0] for name, weight in weights.items())
    assert logs["loss"][0] - logs["click_loss"][0] == pytest.approx(added, rel=1e-3)
    assert logs["val_loss"][0] == pytest.approx(logs["val_click_loss"][0], rel=1e-6)


def test_loads_and_entropy_depend_on_the_rows_alone():
    """Neither on the batches nor on their order; shares add up to one."""
    layers = quiet_layers()
    model = make_model(*layers)
    rows = draw(ROWS, DEPTH)
    found = [
        model.evaluate(rows[order], labels(rows[order]), batch_size, return_dict=True, verbose=0)
        for batch_size, order in ((4, slice(None)), (9, slice(None, None, -1)))
    ]
    for name, value in found[0].items():
        if ("load_" in name and "loss" not in name) or name.endswith("entropy"):
            assert found[1][name] == pytest.approx(value, rel=1e-5), name
    for layer, experts in (("mixture", 5), ("switch", 3)):
        assert sum(found[0][f"moe/{layer}/load_{e}"] for e in range(experts)) == pytest.approx(1)


def test_padding_is_in_no_figure():
    layers = quiet_layers()
    model = make_model(*layers, shape=(3, DEPTH), mask=True)
    rows = draw(10, 3, DEPTH)
    rows[np.random.default_rng(1).random((10, 3)) < 0.4] = 0  # what `Masking` hides
    mask = np.any(rows != 0, axis=-1)
    logs = model.fit(rows, labels(rows), batch_size=4, shuffle=False, verbose=0).history
    for layer in layers:
        expected = expected_figures(layer, batches_of(rows, 4), batches_of(mask, 4))
        for name, value in expected.items():
            assert logs[name] == pytest.approx([value], rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("num_experts", [16, 17])
def test_beyond_sixteen_experts_the_least_and_the_greatest_load_are_logged(num_experts):
    layer = prepared(SwitchFFN(num_experts, 2, jitter=0.0, name="ffn"), DEPTH)
    model = make_model(layer)
    rows = draw(ROWS, DEPTH)
    logs = model.fit(rows, labels(rows), batch_size=8, shuffle=False, verbose=0).history
    expected = expected_figures(layer, batches_of(rows, 8))
    assert moe_logs(logs).keys() == expected.keys()
    assert ("moe/ffn/load_max" in logs) == (num_experts == 17)
    for name, value in expected.items():
        assert logs[name] == pytest.approx([value], rel=1e-4, abs=1e-6), name


def test_evaluate_lists_what_metrics_names_says():
    model = make_model(*quiet_layers())
    assert model.metrics_names[0] == "loss"
    rows = draw(6, DEPTH)
    named = model.evaluate(rows, labels(rows), return_dict=True, verbose=0)
    listed = model.evaluate(rows, labels(rows), verbose=0)
    assert dict(zip(model.metrics_names, listed, strict=True)) == named
    assert {"loss", "click_loss", "click_auc"} < set(named)
    assert len(moe_logs(named)) == (5 + 4) + (3 + 4)


def test_a_model_without_sparse_layers_logs_nothing_of_routing():
    model = zoo.mmoe(DEPTH, ["click"], seed=0)
    model.compile("sgd")
    rows = draw(6, DEPTH)
    logs = model.fit(rows, labels(rows), verbose=0).history
    assert set(logs) == {"loss", "click_loss", "click_auc"}
    assert not [name for name in model.metrics_names if "moe" in name]


def test_layers_within_layers_are_seen():
    class Block(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.ffn = SwitchFFN(3, 6, jitter=0.0, name="deep")

        def build(self, input_shape):
            self.ffn.build(input_shape)

        def call(self, inputs, training=None):
            return inputs + self.ffn(inputs, training=training)

        def compute_output_shape(self, input_shape):
            return input_shape

    inner = keras.Input((DEPTH,))
    network = keras.Model(inner, MoE(4, DEPTH, noisy=False, name="inner")(inner))
    block = Block()
    model = make_model(network, block)
    rows = draw(ROWS, DEPTH)
    logs = model.fit(rows, labels(rows), batch_size=8, shuffle=False, verbose=0).history
    for layer in (network.get_layer("inner"), block.ffn):
        for name, value in expected_figures(layer, batches_of(rows, 8)).items():
            assert logs[name] == pytest.approx([value], rel=1e-4, abs=1e-6), name


def test_a_layer_that_is_called_twice_counts_both_calls():
    features = keras.Input((DEPTH,), name="features")
    layer = prepared(MoE(4, DEPTH, noisy=False, name="shared"), DEPTH)
    outputs = {"click": keras.layers.Dense(1, activation="sigmoid")(layer(layer(features)))}
    model = MultiTaskModel(inputs=features, outputs=outputs, tasks=[Task("click")])
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    rows = draw(9, DEPTH)
    logs = model.fit(rows, labels(rows), verbose=0, shuffle=False).history
    second = twin(layer, rows).outputs.astype("float32")
    for name, value in expected_figures(layer, [rows, second]).items():
        assert logs[name] == pytest.approx([value], rel=1e-4, abs=1e-6), name


def test_two_layers_of_one_name_do_not_mix():
    """Names are unique in one graph, but not across the graphs of nested models."""
    networks = []
    for num_experts, name in ((3, "moe"), (4, "moe"), (5, "moe_1")):
        inner = keras.Input((DEPTH,))
        layer = MoE(num_experts, DEPTH, noisy=False, name=name)
        networks.append(keras.Model(inner, layer(inner)))
    model = make_model(*networks)
    rows = draw(9, DEPTH)
    logs = model.fit(rows, labels(rows), verbose=0).history
    shares = [value[0] for name, value in logs.items() if "/load_" in name and name[-1].isdigit()]
    assert len(shares) == 12
    assert sum(shares) == pytest.approx(3.0)


def test_figures_can_be_watched_and_survive_saving(tmp_path):
    model = make_model(*quiet_layers())
    rows = draw(ROWS, DEPTH)
    stop = keras.callbacks.EarlyStopping("val_moe/switch/dropped", mode="min", patience=0)
    fit = {"validation_data": (rows, labels(rows)), "shuffle": False, "verbose": 0}
    logs = model.fit(rows, labels(rows), epochs=5, callbacks=[stop], **fit).history
    assert len(logs["loss"]) == 2
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.fit(rows, labels(rows), **fit).history
    for name, values in again.items():
        assert values[0] == pytest.approx(logs[name][0], rel=1e-5), name


def test_predictions_between_steps_are_not_counted():
    model = make_model(*quiet_layers())
    rows, other = draw(ROWS, DEPTH), 5 + draw(ROWS, DEPTH, seed=3)
    fit = {"batch_size": 8, "shuffle": False, "verbose": 0}
    expected = model.fit(rows, labels(rows), **fit).history
    predict = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda *_, **__: model(other, training=True)
    )
    logs = model.fit(rows, labels(rows), callbacks=[predict], **fit).history
    model.predict(other, verbose=0)
    for name, values in expected.items():
        assert logs[name] == pytest.approx(values, rel=1e-6), name


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [{"run_eagerly": True}, {"steps_per_execution": 3}])
def test_however_steps_run_the_figures_are_the_same(compiled):
    layers = quiet_layers()
    rows = draw(ROWS, DEPTH)
    fit = {"batch_size": 4, "shuffle": False, "verbose": 0}
    logs = make_model(*layers, **compiled).fit(rows, labels(rows), **fit).history
    for layer in layers:
        for name, value in expected_figures(layer, batches_of(rows, 4)).items():
            assert logs[name] == pytest.approx([value], rel=1e-4, abs=1e-6), name
