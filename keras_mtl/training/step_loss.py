"""StepLoss: what a step minimises, and what its trackers add up."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from keras_mtl.layers.routing_records import take_records
from keras_mtl.task import Task
from keras_mtl.training import replicas
from keras_mtl.training.class_weights import ClassWeights
from keras_mtl.training.groups import TaskGroup
from keras_mtl.training.objective import Objective
from keras_mtl.training.predictions import of_predictions
from keras_mtl.training.routing_tracker import RoutingTracker
from keras_mtl.training.traced_state import check_state
from keras_mtl.training.tracker import LossTracker, mean_losses


class StepLoss:
    """`sum_t w_t L_t + added losses / replicas`, of one replica; the replicas' parts add up.

    Args:
        tasks: The model's tasks.
        groups: The same tasks, grouped.
        weights: Factor of every task's loss, in the order of `tasks`.
        class_weights: Class weights that override the tasks' own.
        loss_tracker: Adds up the tasks' losses over an epoch.
        routing_tracker: Adds up what sparse layers record, if there are any.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        groups: Sequence[TaskGroup],
        weights: Sequence[float],
        class_weights: ClassWeights,
        loss_tracker: LossTracker,
        routing_tracker: RoutingTracker | None,
    ) -> None:
        self._of_logits = Objective(tasks, groups)
        self._of_predictions = Objective(tasks, of_predictions(groups))
        self._weights = list(weights)
        self._class_weights = class_weights
        self._loss_tracker = loss_tracker
        self._routing_tracker = routing_tracker

    def __call__(
        self,
        y: Mapping[str, Any],
        outputs: Mapping[str, Any],
        sample_weight: Any,
        added_losses: Sequence[Any],
        is_step: bool,
    ) -> Any:
        """The loss of a batch.

        Args:
            y: Labels by task name.
            outputs: The training graph's outputs; predictions by task name outside of a step.
            sample_weight: As in `fit`.
            added_losses: What layers and regularisers add.
            is_step: Whether a step of the model is under way.
        """
        objective = self._of_logits if is_step else self._of_predictions
        sums = objective(outputs, y, sample_weight, self._class_weights.by_task)
        # Of layers in half precision as well.
        added = (ops.sum(ops.cast(loss, "float32")) for loss in added_losses)
        additional = sum(added, ops.zeros((), "float32"))
        check_state(sums.losses)
        self._loss_tracker.accumulate(sums, additional)
        if self._routing_tracker is not None:
            self._routing_tracker.accumulate(take_records())
        losses = mean_losses(sums.losses, replicas.global_sum(sums.counts))  # (T,)
        weighted = ops.sum(losses * ops.array(self._weights, dtype="float32"))
        return weighted + additional / replicas.num_replicas()
