"""One layer of every kind and option, with the shape of a row that it takes."""

from collections.abc import Callable

import keras

from keras_mtl.layers import CGC, PLE, Experts, Gate, MMoE, TaskDense


def network() -> keras.layers.Layer:
    return keras.Sequential([keras.layers.Dense(6, activation="relu"), keras.layers.Dense(3)])


LAYERS: dict[str, tuple[Callable[..., keras.layers.Layer], tuple[int, ...]]] = {
    "task_dense": (lambda **kw: TaskDense(3, 2, activation="relu", **kw), (4,)),
    "task_dense_own": (
        lambda **kw: TaskDense(3, 2, use_bias=False, task_inputs=True, **kw),
        (3, 4),
    ),
    "experts": (lambda **kw: Experts(3, (5, 2), **kw), (4,)),
    "experts_slots": (lambda **kw: Experts(3, (5, 2), input_slots=(1, 0, 1), **kw), (2, 4)),
    "experts_batch": (lambda **kw: Experts(3, (5, 2), normalization="batch", **kw), (4,)),
    "experts_layer": (lambda **kw: Experts(3, (5, 2), normalization="layer", **kw), (4,)),
    "experts_dropout": (lambda **kw: Experts(3, (5, 2), dropout=0.5, **kw), (4,)),
    "experts_copies": (lambda **kw: Experts(3, expert=network(), **kw), (4,)),
    "experts_copies_slots": (
        lambda **kw: Experts(3, expert=network(), input_slots=(1, 0, 1), **kw),
        (2, 4),
    ),
    "gate": (lambda **kw: Gate(3, 2, hidden_units=(5,), use_bias=True, **kw), (4,)),
    "gate_own": (lambda **kw: Gate(3, 2, gate_inputs=True, visible=[(0,), (1, 2)], **kw), (2, 4)),
    "mmoe": (lambda **kw: MMoE(2, 3, (5, 2), gate_units=4, **kw), (4,)),
    "mmoe_one_gate": (lambda **kw: MMoE(2, 3, 2, one_gate=True, gate_temperature=2.0, **kw), (4,)),
    "mmoe_copies": (lambda **kw: MMoE(2, 3, expert=network(), **kw), (4,)),
    "cgc": (lambda **kw: CGC(2, 1, (0, 2), (5, 2), shared_output=True, **kw), (4,)),
    "cgc_many": (
        lambda **kw: CGC(18, 1, (1, 2, 0, *[1] * 15), 2, shared_output=True, **kw),
        (4,),
    ),
    "cgc_own": (lambda **kw: CGC(2, 1, 1, 2, task_inputs=True, **kw), (3, 4)),
    "ple": (lambda **kw: PLE(2, 3, 2, (0, 1), (5, 2), gate_units=3, **kw), (4,)),
    "ple_options": (
        lambda **kw: PLE(
            2, 2, 1, 1, 3, normalization="batch", dropout=0.2, activation="gelu", **kw
        ),
        (4,),
    ),
    "ple_copies": (lambda **kw: PLE(2, 2, 1, 1, expert=network(), **kw), (4,)),
}
