"""Tasks that can be computed together: one stacked tensor of logits, one kind, one loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_mtl.losses.entries import OwnLoss, default_loss
from keras_mtl.task import Task, given_chain
from keras_mtl.training.heads import Head, activation_of, mask_key
from keras_mtl.training.labels import Labels, class_weights, read_labels, row_weights
from keras_mtl.training.spaces import existence


@dataclass(frozen=True)
class Entries:
    """What a loss or a metric sees of a group in one batch, each (B, ..., T, U) unless said.

    Where an entry is masked its output is a constant, so that not even a NaN or an overflow there
    reaches a loss, a metric or, as NaN times 0, a gradient.
    """

    outputs: Any  # logits, or predictions where the head hides its logits
    vectors: Any  # the same, whole where any entry of the vector is known
    labels: Labels
    mask: Any  # 1.0 where the label is known and the task exists
    weights: Any  # mask times sample weights


class TaskGroup:
    """Tasks of one kind and width whose logits are slices of one tensor.

    Tasks with a loss or metrics of their own, and products over a chain of tasks, stand alone.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        heads: Mapping[str, Head],
        by_name: Mapping[str, Task],
        loss: OwnLoss | None,
    ) -> None:
        self.tasks = list(tasks)
        self.kind = tasks[0].kind
        self.loss = loss
        self.is_logits = heads[tasks[0].name].logits
        self.chains = [given_chain(task, by_name) for task in tasks]
        self._key = heads[tasks[0].name].key
        self._indices = [heads[task.name].index for task in tasks]

    @property
    def names(self) -> list[str]:
        """The tasks' names, in the order of the T axis."""
        return [task.name for task in self.tasks]

    @property
    def task(self) -> Task:
        """Any task of the group: all share kind, units and loss."""
        return self.tasks[0]

    def outputs(self, outputs: Mapping[str, Any]) -> Any:
        """The group's logits out of those of the training graph."""
        stacked = ops.cast(outputs[self._key], "float32")
        if self._indices[0] is None:
            return ops.expand_dims(stacked, -2)  # (B, ..., 1, U)
        if self._indices == list(range(stacked.shape[-2])):
            return stacked  # (B, ..., T, U)
        return ops.take(stacked, self._indices, axis=-2)  # (B, ..., T, U)

    def shown(self, outputs: Mapping[str, Any]) -> Any | None:
        """1.0 where the Keras mask of the group's logits shows an entry; None without a mask."""
        mask = outputs.get(mask_key(self._key))
        if mask is None:
            return None
        axes = tuple(range(len(mask.shape), len(self.outputs(outputs).shape)))
        return ops.cast(ops.expand_dims(mask, axes), "float32")  # (B, ..., 1, 1)

    def entries(
        self, outputs: Mapping[str, Any], y: Mapping[str, Any], sample_weight: Any
    ) -> Entries:
        """Outputs, labels, mask and weights of a batch."""
        own = self.outputs(outputs)
        units = 1 if self.kind == "multiclass" else own.shape[-1]
        labels = read_labels(self.tasks, y, (*own.shape[1:-2], units))
        shown = self.shown(outputs)
        if shown is not None:
            labels = labels.where(shown)
        mask = labels.known
        if any(self.chains):
            rows = [existence(chain, y, mask[..., 0, :]) for chain in self.chains]
            mask = mask * ops.stack(rows, axis=-2)
        weights = weigh(self.tasks, y, sample_weight, mask)
        outputs = vectors = self.where_known(own, mask > 0)
        if mask.shape[-1] > 1:
            vectors = self.where_known(own, ops.any(mask > 0, axis=-1, keepdims=True))
        return Entries(outputs, vectors, labels, mask, weights)

    def where_known(self, outputs: Any, known: Any) -> Any:
        """`outputs` where `known`, a constant elsewhere."""
        # Not 0, the label there: a root of the difference would have an infinite slope.
        return ops.where(known, outputs, 1.0 if self.is_logits else 0.5)

    def predictions(self, outputs: Any) -> Any:
        """Probabilities, or values, from the group's outputs."""
        if not self.is_logits:
            return outputs
        return keras.activations.get(activation_of(self.task))(outputs)

    def entry_losses(self, entries: Entries) -> tuple[Any, Any, Any]:
        """Entry losses, mask, weights; (B, ..., T, 1) where a loss looks at whole vectors."""
        if self.loss is None:
            losses = default_loss(self.kind)(entries.labels.values, self.logits(entries.outputs))
            return losses, entries.mask, entries.weights
        outputs = entries.outputs if self.loss.columnwise else entries.vectors
        wanted = self.logits if self.loss.from_logits else self.predictions
        losses = self.loss(entries.labels.values, wanted(outputs))
        if losses.shape[-1] == entries.mask.shape[-1]:
            return losses, entries.mask, entries.weights
        any_known = [ops.max(x, axis=-1, keepdims=True) for x in (entries.mask, entries.weights)]
        return losses, *any_known

    def logits(self, outputs: Any) -> Any:
        """The group's outputs as logits, also where only a probability is at hand."""
        if self.is_logits or self.kind == "regression":
            return outputs
        epsilon = keras.config.epsilon()
        probability = ops.clip(outputs, epsilon, 1.0 - epsilon)
        if self.kind == "multiclass":
            return ops.log(probability)
        return ops.log(probability) - ops.log1p(-probability)

    def class_factors(self, labels: Any, overrides: Mapping[str, Any]) -> Any | None:
        """Class weight of every entry, (B, ..., T, 1); None where no task has any."""
        tables = [class_weights(task, overrides) for task in self.tasks]
        if all(table is None for table in tables):
            return None
        classes = max(2, self.task.units)
        table = ops.array([t or [1.0] * classes for t in tables], dtype="float32")  # (T, classes)
        if self.kind == "binary":
            return table[:, :1] + (table[:, 1:] - table[:, :1]) * labels
        chosen = ops.one_hot(ops.cast(labels[..., 0], "int32"), classes)  # (B, ..., T, classes)
        return ops.sum(chosen * table, axis=-1, keepdims=True)  # (B, ..., T, 1)


def weigh(tasks: Sequence[Task], y: Mapping[str, Any], sample_weight: Any, mask: Any) -> Any:
    """Mask times sample weights; even a NaN weight of an unlabelled entry changes nothing."""
    weights = row_weights(tasks, y, sample_weight, mask)
    return mask if weights is None else ops.where(mask > 0, weights, 0.0) * mask


def group_tasks(
    tasks: Sequence[Task],
    heads: Mapping[str, Head],
    losses: Mapping[str, Any],
    own_metrics: Mapping[str, Any],
) -> list[TaskGroup]:
    """Splits `tasks`; one with a loss, metrics or product of its own is a group of one."""
    by_name = {task.name: task for task in tasks}
    members: dict[tuple[Any, ...], list[Task]] = {}
    for task in tasks:
        head = heads[task.name]
        alone = (
            task.name in losses
            or own_metrics.get(task.name)
            or task.trained_on == "all"
            or head.index is None
        )
        shared = task.name not in own_metrics
        key = (head.key, head.logits, task.kind, task.units, task.name if alone else shared)
        members.setdefault(key, []).append(task)
    groups = []
    for group in members.values():
        loss = losses.get(group[0].name)
        own = None if loss is None else OwnLoss(loss, group[0].kind)
        groups.append(TaskGroup(group, heads, by_name, own))
    return groups
