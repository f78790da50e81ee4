"""Models whose every logit is a weight of its own: a test chooses it and reads its gradient.

Row i of the inputs is row i of the identity, so row i of a kernel is the logit of row i.
"""

import keras
import numpy as np

from keras_mtl import MultiTaskModel, Task, zoo

ACTIVATIONS = {
    "binary": "sigmoid",
    "multilabel": "sigmoid",
    "multiclass": "softmax",
    "regression": "linear",
}


def dense_activation(task, x, size, shape):
    activation = ACTIVATIONS[task.kind]
    return keras.layers.Dense(size, activation, use_bias=False, name=f"{task.name}_logits")(x)


def activation_layer(task, x, size, shape):
    x = keras.layers.Dense(size, use_bias=False, name=f"{task.name}_logits")(x)
    if len(shape) > 1:
        x = keras.layers.Reshape(shape)(x)
    return keras.layers.Activation(ACTIVATIONS[task.kind])(x)


def operation(task, x, size, shape):
    x = keras.layers.Dense(size, use_bias=False, name=f"{task.name}_logits")(x)
    return getattr(keras.ops, ACTIVATIONS[task.kind])(x)


def softmax_layer(task, x, size, shape):
    x = keras.layers.Dense(size, use_bias=False, name=f"{task.name}_logits")(x)
    return keras.layers.Softmax()(x)


class FreeLogits:
    """A model, its inputs, and the weights that are its logits."""

    def __init__(self, model, logits, slots):
        self.model = model
        self.logits = {name: np.asarray(value, "float32") for name, value in logits.items()}
        self._slots = slots
        self.x = np.eye(len(next(iter(self.logits.values()))), dtype="float32")
        for name, (kernel, slot) in slots.items():
            values = keras.ops.convert_to_numpy(kernel).copy()
            values[slot] = self.logits[name].reshape(values[slot].shape)
            kernel.assign(values)
        self._start = model.get_weights()

    def step(self, y, fit=None, metrics=(), **compile_arguments):
        """One step on all rows: the logs, and the gradient of the loss in every logit.

        No metrics unless asked for: `None` is the tasks' own.
        """
        optimizer = keras.optimizers.SGD(1.0, momentum=0.9)
        self.model.compile(optimizer, metrics=metrics, run_eagerly=True, **compile_arguments)
        history = self.model.fit(
            self.x, y, batch_size=len(self.x), shuffle=False, verbose=0, **(fit or {})
        )
        logs = {name: values[-1] for name, values in history.history.items()}
        gradients = {name: self._gradient(name) for name in self._slots}
        self.model.set_weights(self._start)
        return logs, gradients

    def _gradient(self, name):
        """The first momentum at rate 1 is the gradient with its sign changed."""
        kernel, slot = self._slots[name]
        position = [v is kernel for v in self.model.trainable_variables].index(True)
        momentum = keras.ops.convert_to_numpy(self.model.optimizer.momentums[position])
        return -momentum[slot].reshape(self.logits[name].shape)


def own_heads(tasks, logits, head=activation_layer, **kwargs):
    """A hand-written graph: a kernel for each task; `logits` (B, ..., U) by task name."""
    tasks = [Task(task) if isinstance(task, str) else task for task in tasks]
    rows = keras.Input((len(next(iter(logits.values()))),), name="rows")
    outputs = {}
    for task in tasks:
        shape = np.shape(logits[task.name])[1:]
        outputs[task.name] = head(task, rows, int(np.prod(shape)), shape)
    model = MultiTaskModel(inputs=rows, outputs=outputs, tasks=tasks, **kwargs)
    slots = {t.name: (model.get_layer(f"{t.name}_logits").kernel, slice(None)) for t in tasks}
    return FreeLogits(model, logits, slots)


def stacked_heads(tasks, logits, **kwargs):
    """A model of the zoo: one kernel (T, B, 1) for all tasks of one kind."""
    rows = len(next(iter(logits.values())))
    options = {"bottom_units": (rows,), "tower_units": (), "activation": "linear"}
    model = zoo.shared_bottom(rows, tasks, **options, **kwargs)
    bottom = model.get_layer("bottom")
    bottom.set_weights([np.eye(rows)[None], np.zeros((1, rows))])
    bottom.trainable = False
    stacked = model.get_layer("logits").weights[0]
    slots = {name: (stacked, index) for index, name in enumerate(sorted(logits))}
    return FreeLogits(model, logits, slots)
