"""TaskOutput: the last layer of a task, which says whose prediction it is."""

from typing import Any

import keras

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import check_identifier, check_integer
from keras_mtl.own_objects import check_functions, objects_of


@keras_mtl_export
class TaskOutput(keras.layers.Layer):
    """Picks a task's slice of stacked logits and turns it into the task's prediction, in float32.

    `prediction = activation(logits[..., index, :])`, or `activation(logits)` where `index` is None.

    The layer keeps its task, so a model that is reloaded or cloned finds its tasks in its own
    graph. In a step, losses and metrics read its input, the logits; where the layer
    has an `activity_regularizer`, its output.

    Args:
        task: The `Task` that is predicted.
        index: Slice on the last but one axis of the input, or None for logits of this task alone.
        activation: Name of the activation, or None for an input that is already the prediction.
        **kwargs: Arguments of `keras.layers.Layer`; `name` is the task's name unless given.

    Input shape:
        (..., T, U), or (..., U) with `index=None`.

    Output shape:
        (..., U), float32.

    Example:

    >>> from keras_mtl import Task
    >>> logits = keras.ops.zeros((4, 2, 1))
    >>> probability = TaskOutput(Task("click"), index=0, activation="sigmoid")(logits)
    >>> tuple(probability.shape), float(probability[0, 0])
    ((4, 1), 0.5)
    """

    def __init__(
        self,
        task: Any,
        index: int | None = None,
        activation: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(getattr(task, "name", None), str) or not hasattr(task, "kind"):
            raise ValueError(f"Argument `task` must be a Task. Received: task={task!r}")
        # Heads are float32 under every policy: a probability in half precision ties and saturates.
        kwargs = {"name": task.name, **kwargs, "dtype": "float32"}
        super().__init__(**kwargs)
        self.task = task
        self.index = index if index is None else check_integer("index", index, minimum=0)
        check_identifier("activation", keras.activations.get, activation)
        self.activation = activation
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the logits: losses and metrics of a loop of one's own read predictions."""
        return previous_mask

    def select(self, logits: Any) -> Any:
        """The task's own slice of the input."""
        return logits if self.index is None else logits[..., self.index, :]  # (..., U)

    def call(self, logits: Any) -> Any:
        """The prediction."""
        return keras.activations.get(self.activation)(self.select(logits))  # (..., U)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(..., U)."""
        return input_shape if self.index is None else (*input_shape[:-2], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The arguments this layer was made with."""
        check_functions(objects_of(self.task))
        config = super().get_config()
        config.pop("dtype")
        return {
            **config,
            "task": keras.saving.serialize_keras_object(self.task),
            "index": self.index,
            "activation": self.activation,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TaskOutput":
        """A layer from `get_config()`."""
        return cls(**{**config, "task": keras.saving.deserialize_keras_object(config["task"])})
