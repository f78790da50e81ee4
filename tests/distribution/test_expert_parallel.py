"""Experts laid out over devices: JAX, four simulated ones, a process of its own.

The same numbers as on one device, and on every device a quarter of the experts' kernels and of the
optimizer's slots for them.
"""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import keras
import numpy as np

from keras_mtl import Task, zoo
from keras_mtl.layers import routing

TASKS = [Task("tag", "multiclass", units=3)]
EXPERTS = {"num_experts": 8, "seed": 1}
generator = np.random.default_rng(0)


def switch():
    sizes = {"num_layers": 1, "num_heads": 2, "model_units": 8, "hidden_units": 12, "max_length": 6}
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    losses = {"balance_loss": 0.5, "router_z_loss": 0.1, "capacity_factor": 0.7}
    return zoo.switch_transformer(
        tokens, TASKS, vocabulary_size=11, sparse_every=1, **sizes, **losses, **EXPERTS
    )


def mixture():
    losses = {"importance_loss": 0.3, "load_loss": 0.1}
    return zoo.moe(6, TASKS, expert_units=(5, 4), tower_units=3, **losses, **EXPERTS)


ids = generator.integers(0, 11, (8, 6)).astype("int32")
DATA = {
    switch: (ids, np.where(ids > 0, ids % 3, -1)),
    # Nearly alike: without noise all rows choose the same experts, which have them in blocks.
    mixture: (generator.normal(1, 0.05, size=(64, 6)).astype("float32"), np.arange(64) % 3),
}


def trained(make):
    # Noise and jitter are drawn alike on any number of devices.
    model, (x, y) = make(), DATA[make]
    model.compile(keras.optimizers.Adam(0.05))
    history = model.fit(x, y, batch_size=len(x) // 2, epochs=2, shuffle=False, verbose=0).history
    return model, {**history, "predictions": model.predict(x, verbose=0)["tag"]}


def check(model, found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    kernels = [w for w in model.trainable_variables if "experts/kernel" in w.path]
    slots = [w for w in model.optimizer.variables if "experts_kernel" in w.path]
    assert (len(kernels), len(slots)) == (2, 4), [w.path for w in model.optimizer.variables]
    for weight in (*kernels, *slots):
        shards = weight.value.addressable_shards
        quarter = (2, *weight.shape[1:])
        assert [shard.data.shape for shard in shards] == [quarter] * 4, weight.path
        assert len({shard.index[0].start for shard in shards}) == 4, weight.path


alone = {make: trained(make)[1] for make in DATA}
assert max(alone[switch]["moe/switch_1/dropped"]) > 0.05
rows = keras.ops.convert_to_tensor(DATA[mixture][0][:32])
layer = mixture().get_layer("moe")
queue = routing.queue_up(layer.choose(rows, None, training=False).experts, 8)
assert not routing.generous_capacity(queue)[1]
# Rows are shared out over the same devices, or every device has all of them.
MESHES = {switch: ((4,), ["expert"]), mixture: ((1, 4), ["batch", "expert"])}
for make, (shape, axes) in MESHES.items():
    mesh = keras.distribution.DeviceMesh(shape, axes)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*experts/kernel.*"] = ("expert", None, None)
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(layout_map=layout, batch_dim_name=axes[0])
    )
    check(*trained(make), alone[make])
"""


@pytest.mark.slow
def test_experts_over_devices_give_the_same_numbers() -> None:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    own = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
