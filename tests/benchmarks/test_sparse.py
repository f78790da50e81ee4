"""Sparse experts: the same tokens and steps for all, the floor, and what is asked of which."""

import sys
import types
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from benchmarks import data, memory_worker, sparse, sparse_report
from benchmarks.contenders import (
    DENSE,
    DENSE_XLA,
    FEED_FORWARD,
    HF_SWITCH,
    MOE,
    SWITCH,
    SWITCH_XLA,
    WEIGHT_UPDATE,
    taking_part,
)
from benchmarks.figures import Origin, append_csv
from benchmarks.peers import feed_forward, weight_update
from benchmarks.peers.experts_alone import ExpertsAlone
from benchmarks.peers.there_and_back import ThereAndBack
from benchmarks.readme import write_readme
from benchmarks.setting import Setting
from benchmarks.sparse import Layer
from benchmarks.sparse_report import Cost
from benchmarks.workload import Sizes, Workload
from keras_mtl.study.cards import BEGIN, END

ORIGIN = Origin("2026-01-01", 0, "synthetic", 8, 1, "cpu", 2, "3.11")
LAYER = Layer(tokens=24, width=4, hidden=6)
KERNELS = 2 * 4 * 6  # of one expert


@pytest.fixture(scope="module")
def split():
    return data.load("synthetic", None, rows=40, seed=0)


@pytest.fixture(scope="module")
def work(split):
    return sparse.workload(data.encode(split, Sizes()), LAYER, experts=3)


def costs_of(experts, **walls):
    names = {"dense": DENSE, "dense_xla": DENSE_XLA, "switch": SWITCH, "switch_xla": SWITCH_XLA}
    names |= {"peer": HF_SWITCH, "update": WEIGHT_UPDATE, "moe": MOE}
    return {
        experts: {names[k]: Cost(7, "keras==3", wall=[9.0, v], cpu=[v]) for k, v in walls.items()}
    }


def ratio_cells(costs):
    lines = sparse_report.report(costs).splitlines()
    return {
        what: line.removeprefix(what).split()
        for line in lines
        if " / " in line and not line.startswith("SwitchFFN  ")
        for what in [line.partition("   ")[0].strip()]
    }


def test_tokens_take_the_place_of_rows(work, tmp_path):
    work.write(tmp_path)
    read = Workload.read(tmp_path)
    assert (len(read), read.width, read.sizes.num_experts) == (24, 4, 3)
    assert read.sizes.expert_units == (6, 4)
    np.testing.assert_array_equal(read.numeric, work.numeric)
    assert abs(float(work.numeric.mean())) < 0.5


@pytest.mark.parametrize(
    ("model", "options", "kernels", "others"),
    [
        ("dense", {}, KERNELS, 6 + 4),
        ("switch", {"capacity_factor": 1.25}, 3 * KERNELS, 4 * 3),  # and a router
        ("moe", {}, 3 * KERNELS, 3 * (6 + 4) + 2 * 4 * 3),  # and two gates
    ],
)
def test_kernels_may_be_held_fixed(work, model, options, kernels, others):
    layer = feed_forward.make(work, model, **options)
    assert layer.parameters == kernels + others
    fixed = feed_forward.make(work, model, fixed_kernels=True, **options)
    assert fixed.parameters == others


def test_a_step_goes_down_the_gradient(work):
    layer = keras.Sequential([keras.Input((4,)), *feed_forward.dense(work.sizes)])
    contender = feed_forward.FeedForward(layer, work, jit_compile=False)
    before = [ops.convert_to_numpy(weight) for weight in layer.trainable_weights]
    hidden = np.maximum(work.numeric @ before[0] + before[1], 0.0)
    outputs = hidden @ before[2] + before[3]
    contender.train(25)  # two batches of 24 tokens: two steps
    after_two = ops.convert_to_numpy(layer.trainable_weights[3])
    slope = 2 * outputs.sum(axis=0) / outputs.size  # of the mean square, by the last bias
    # The second step's slope is nearly that of the first.
    np.testing.assert_allclose(after_two, before[3] - 2 * 0.01 * slope, atol=1e-4)
    assert np.abs(after_two - before[3]).max() > 1e-4


def test_kernels_are_updated_as_often_as_there_are_batches(work):
    floor = weight_update.make(work, "update")
    floor.train(49)
    assert floor.parameters == 3 * KERNELS


def test_the_floor_has_the_products_and_the_update():
    costs = costs_of(8, dense=2.0, dense_xla=1.6, update=0.4)
    assert sparse_report.floor(costs[8], DENSE_XLA) == pytest.approx(1.25 * 1.6 + 0.4)
    assert sparse_report.floor(costs_of(8, dense=2.0)[8], DENSE) is None
    floors = [f.value for f in sparse_report.figures(costs) if f.contender == sparse_report.FLOOR]
    assert floors == [pytest.approx(2.4)]  # over the faster dense layer


def test_each_way_is_compared_with_its_own_and_the_faster_with_the_faster():
    costs = costs_of(
        8, dense=1.0, dense_xla=2.0, switch=1.4, switch_xla=2.6, moe=3.0, peer=2.1, update=0.1
    )
    cells = ratio_cells(costs)
    assert cells["SwitchFFN / dense FFN"] == ["8", "1.40", "1.40", "<=", "1.35", "missed", "1.35"]
    assert cells["SwitchFFN, XLA / dense FFN, XLA"][1:6] == ["1.30", "1.30", "<=", "1.35", "met"]
    assert "SwitchFFN, XLA / dense FFN" not in cells
    assert cells["MoE, dropless / dense FFN"] == ["8", "3.00", "3.00"]
    assert cells["transformers Switch / SwitchFFN"] == ["8", "1.50", "1.50"]  # asked of 32 alone
    crossed = ratio_cells(costs_of(8, dense=2.0, dense_xla=1.0, switch=1.2, switch_xla=2.6))
    assert crossed["SwitchFFN / dense FFN, XLA"][1:6] == ["1.20", "1.20", "<=", "1.35", "met"]


def test_the_peer_is_asked_for_at_32_experts_and_a_gpu_at_64():
    cells = ratio_cells(costs_of(32, switch=1.0, peer=1.9))
    assert cells["transformers Switch / SwitchFFN"][3:] == [">=", "2.0", "missed"]
    on_cpu = costs_of(64, dense_xla=1.0, switch_xla=1.9)
    assert "<=" not in ratio_cells(on_cpu)["SwitchFFN, XLA / dense FFN, XLA"]
    on_gpu = {64: {name: replace(cost, device="A GPU") for name, cost in on_cpu[64].items()}}
    (cells,) = ratio_cells(on_gpu).values()
    assert cells[3:] == ["<=", "2.0", "met"]


def test_activations_are_compared_between_the_fewest_and_the_most_experts():
    costs = costs_of(8, switch=1.0) | costs_of(128, switch=1.0)
    assert "activations" not in sparse_report.report(costs)
    for experts, mib in ((8, 100.0), (128, 120.0)):
        costs[experts][SWITCH].step_mib, costs[experts][SWITCH].activations_mib = 300.0, mib
    last = sparse_report.report(costs).splitlines()[-1]
    assert last.split() == ["SwitchFFN", "128", "/", "8", "1.20", "<=", "1.1", "missed"]


def test_the_readme_shows_steps_over_the_dense_layer_and_memory(tmp_path):
    costs = costs_of(8, dense=2.0, dense_xla=4.0, switch=3.0, update=0.5)
    costs[8][SWITCH].step_mib, costs[8][SWITCH].activations_mib = 90.0, 75.4
    append_csv(tmp_path / "sparse.csv", sparse_report.figures(costs), ORIGIN)
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    write_readme(readme, tmp_path)
    text = readme.read_text()
    assert "| SwitchFFN | 3.00 (1.50) |" in text
    assert "| floor | 3.00 (1.50) |" in text
    assert "| SwitchFFN | 75 |" in text
    assert "8 experts" in text


def test_memory_is_told_with_and_without_gradients_of_kernels(work, tmp_path, monkeypatch):
    work.write(tmp_path)
    told = {}
    monkeypatch.setattr(memory_worker, "take_standard_output", lambda: None)
    monkeypatch.setattr(memory_worker, "reply", lambda stream, **values: told.update(values))

    def make(work, fixed_kernels):
        size = 2**20 if fixed_kernels else 3 * 2**20
        return types.SimpleNamespace(step_bytes=lambda: size)

    fake = types.SimpleNamespace(make=make)
    monkeypatch.setitem(sys.modules, "benchmarks.peers.fake", fake)
    memory_worker.main("fake", str(tmp_path), "{}")
    assert told == {"step": 3.0, "activations": 1.0}


def test_a_step_needs_its_hidden_layer(work):
    layer = Layer(tokens=512, width=4, hidden=256)
    large = replace(
        work,
        sizes=replace(work.sizes, expert_units=(256, 4)),
        categorical=np.zeros((layer.tokens, 0), "int32"),
        numeric=np.ones((layer.tokens, 4), "float32"),
    )
    assert feed_forward.make(large, "dense").step_bytes() >= 512 * 256 * 4


def test_scattering_gives_the_numbers_of_gathering():
    """Both ways of one comparison must compute the same, dropped tokens included."""
    tokens = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    layers = [ThereAndBack(8, 0.8, scatter=scatter) for scatter in (False, True)]
    for layer in layers:
        layer.build(tokens.shape)
        layer.set_weights(layers[0].get_weights())
    gathered, scattered = (ops.convert_to_numpy(layer(tokens)) for layer in layers)
    np.testing.assert_allclose(scattered, gathered, rtol=1e-6)
    assert 0.1 < np.mean(np.all(gathered == 0, axis=-1)) < 0.5
    of_gathering, of_scattering = (gradients(layer, tokens) for layer in layers)
    for one, other in zip(of_scattering, of_gathering, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_experts_alone_compute_their_own_slots():
    tokens = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    layer = ExpertsAlone(num_experts=4, hidden=5, tokens=6, capacity=2)
    outputs = ops.convert_to_numpy(layer(tokens))
    first, second = layer.get_weights()
    slots = np.concatenate([tokens, tokens[:2]])
    for row, output in enumerate(outputs):
        expected = np.maximum(slots[row] @ first[row // 2], 0) @ second[row // 2]
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    assert (len(outputs), layer.count_params()) == (6, 4 * 2 * 4 * 5)


def gradients(layer, tokens) -> list[np.ndarray]:
    """In the weights, of a sum of squares."""
    model = keras.Sequential([keras.Input(tokens.shape[1:]), layer])
    model.compile(keras.optimizers.SGD(1.0), lambda y, prediction: ops.sum(prediction**2))
    before = layer.get_weights()
    model.train_on_batch(tokens, np.zeros(len(tokens)))
    return [old - new for old, new in zip(before, layer.get_weights(), strict=True)]


def test_on_jax_only_compiled_layers_take_part(capsys):
    names = {entry.name for entry in taking_part(FEED_FORWARD, "jax", "bfloat16")}
    assert {DENSE_XLA, SWITCH_XLA, WEIGHT_UPDATE} <= names
    assert not {DENSE, SWITCH, HF_SWITCH} & names
    assert "Left out: SwitchFFN (switch) needs tensorflow" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "layers"),
    [("tensorflow", (DENSE, SWITCH_XLA)), ("jax", (SWITCH_XLA,))],
)
def test_a_tiny_layer_is_measured(split, tmp_path, monkeypatch, backend, layers):
    monkeypatch.setattr(sparse, "SECONDS", 0.01)
    monkeypatch.setenv("KERAS_BACKEND", backend)
    names = {*layers, WEIGHT_UPDATE}
    entries = [entry for entry in FEED_FORWARD if entry.name in names]
    setting = Setting(split, data.encode(split, Sizes()), tmp_path, entries, {}, rounds=2)
    (by_name,) = sparse.measure(setting, LAYER, [3]).values()
    assert set(by_name) == names
    for name, cost in by_name.items():
        assert len(cost.wall) == len(cost.cpu) == 2
        assert cost.best > 0
        assert f"{backend}==" in cost.versions
        assert (cost.activations_mib is None) == (name == WEIGHT_UPDATE)
