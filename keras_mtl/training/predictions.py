"""Groups of tasks that read predictions, as `model(x)` gives them to a loop of one's own."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops
from keras.src.backend.common.masking import get_keras_mask

from keras_mtl.training.groups import TaskGroup


class PredictionGroup(TaskGroup):
    """The tasks of a group, read by name from predictions instead of from a step's logits.

    Probabilities are clipped, so that a confidently wrong row keeps a finite loss; in a step, which
    has the logits, it keeps its gradient as well.
    """

    def __init__(self, group: TaskGroup) -> None:
        self.__dict__.update(vars(group))
        self.is_logits = group.kind == "regression"  # where a prediction is its own logit

    def outputs(self, outputs: Mapping[str, Any]) -> Any:
        """The group's predictions."""
        columns = [ops.cast(outputs[name], "float32") for name in self.names]
        return ops.stack(columns, axis=-2)  # (B, ..., T, U)

    def shown(self, outputs: Mapping[str, Any]) -> Any | None:
        """As of logits, from the mask that came along with the predictions."""
        prediction = outputs[self.task.name]
        mask = get_keras_mask(prediction)
        if mask is None:
            return None
        axes = tuple(range(len(mask.shape), len(prediction.shape) + 1))
        return ops.cast(ops.expand_dims(mask, axes), "float32")  # (B, ..., 1, 1)


def of_predictions(groups: Sequence[TaskGroup]) -> list[TaskGroup]:
    """The same groups, for predictions."""
    return [PredictionGroup(group) for group in groups]
