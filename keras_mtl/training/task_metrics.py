"""Metrics of all tasks: stacked where tasks share their kind's defaults, the user's elsewhere."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.checks import check_identifier
from keras_mtl.losses.entries import is_columnwise
from keras_mtl.losses.label_forms import check_metric, snake_case, takes_one_hot
from keras_mtl.metrics.auc import AUC
from keras_mtl.own_objects import deep_copy
from keras_mtl.training.data import as_label_dict
from keras_mtl.training.figure_names import check_figure_names
from keras_mtl.training.groups import Entries, TaskGroup
from keras_mtl.training.joint_metric import JointAUC
from keras_mtl.training.predictions import of_predictions
from keras_mtl.training.seen_metric import SeenMetric


class TaskMetrics(keras.metrics.Metric):
    """Every task's metrics, from the training graph's outputs; results are keyed `TASK_METRIC`.

    A metric sees labelled entries only, weighted by mask times sample weights, never by class
    weights. It is NaN where its task had none.
    """

    def __init__(self, groups: Sequence[TaskGroup], own: Mapping[str, Sequence[Any]]) -> None:
        super().__init__(name="task_metrics")
        self._groups = list(groups)
        self._of_group = [
            [SeenMetric(TaskMetric(metric, group)) for metric in own[group.task.name]]
            if group.task.name in own
            else _default_metrics(group)
            for group in groups
        ]
        for metrics in self._of_group:
            _number_names([seen.metric for seen in metrics if isinstance(seen, SeenMetric)])
        self._joint = [
            JointAUC(group.task.name)
            for group in groups
            if group.task.trained_on == "all" and group.task.name not in own
        ]
        pairs = [(task, one.metric.name) for one in self._all() for task in one.tasks]
        check_figure_names(pairs, [name for group in groups for name in group.names])
        counts = [m.count for ms in self._of_group for m in ms if isinstance(m, SeenMetric)]
        # Keras finds the state of what is listed here.
        self._listed = [*(metric.metric for metric in self._all()), *counts]

    def update_state(
        self, y: Any, predictions: Mapping[str, Any], sample_weight: Any | None = None
    ) -> None:
        """Adds one batch of a loop of one's own, which has predictions by task name."""
        y = as_label_dict([task for group in self._groups for task in group.tasks], y)
        self._add(of_predictions(self._groups), y, predictions, sample_weight)

    def accumulate(self, y: Mapping[str, Any], outputs: Mapping[str, Any], weights: Any) -> None:
        """Adds one batch of a step, from the training graph's outputs."""
        self._add(self._groups, y, outputs, weights)

    def _add(
        self,
        groups: Sequence[TaskGroup],
        y: Mapping[str, Any],
        outputs: Mapping[str, Any],
        weights: Any,
    ) -> None:
        for group, metrics in zip(groups, self._of_group, strict=True):
            if metrics:
                entries = group.entries(outputs, y, weights)
                for metric in metrics:
                    metric.update(group, entries)
        for joint in self._joint:
            joint.update(groups, outputs, y, weights)

    def result(self) -> dict[str, Any]:
        """The value of every metric of every task."""
        return {
            f"{task}_{metric.metric.name}": value
            for metric in self._all()
            for task, value in metric.results().items()
        }

    def result_names(self) -> list[str]:
        """The keys of `result`, without computing it."""
        return [f"{task}_{metric.metric.name}" for metric in self._all() for task in metric.tasks]

    def reset_state(self) -> None:
        """Forgets all batches."""
        for metric in self._listed:
            metric.reset_state()

    def _all(self) -> list[Any]:
        return [*(metric for metrics in self._of_group for metric in metrics), *self._joint]


class StackedAUC:
    """AUC of every task of a binary group, from logits."""

    def __init__(self, group: TaskGroup) -> None:
        self.tasks = group.names
        self.metric = AUC(num_labels=len(group.tasks), average=None, from_logits=True, name="auc")

    def update(self, group: TaskGroup, entries: Entries) -> None:
        """Adds one batch."""
        logits = group.logits(entries.outputs)
        columns = (entries.labels.values, logits, entries.weights)
        self.metric.update_state(*(_by_task(column) for column in columns))

    def results(self) -> dict[str, Any]:
        """AUC by task."""
        return _split(self.metric.result(), self.tasks)


class StackedMean:
    """Weighted mean of a per-entry figure, for every task of a group."""

    def __init__(self, group: TaskGroup, name: str, figure: Callable[[Any, Any], Any]) -> None:
        self.tasks = group.names
        self._figure = figure
        self.metric = EntryMean(len(group.tasks), name)

    def update(self, group: TaskGroup, entries: Entries) -> None:
        """Adds one batch."""
        figures = self._figure(entries.labels.values, entries.outputs)  # (B, ..., T, U)
        self.metric.update_state(_by_task(figures), _by_task(entries.weights))

    def results(self) -> dict[str, Any]:
        """Means by task."""
        return _split(self.metric.result(), self.tasks)


class TaskMetric:
    """A Keras metric of one task, fed with the task's labelled entries.

    Columns of multilabel and regression tasks are entries of their own, unless the metric looks at
    whole vectors.
    """

    def __init__(self, metric: Any, group: TaskGroup, index: int = 0) -> None:
        task = group.tasks[index]
        self.tasks, self._index = [task.name], index
        self.metric = _fresh_metric(metric, task.kind)
        vectors = task.units > 1 and task.kind in ("multilabel", "regression")
        per_label = bool(getattr(self.metric, "num_labels", None))
        self._vectors = vectors and (per_label or not is_columnwise(_plain(self.metric)))
        self._row_weights = self._vectors and not per_label
        check_metric(self.metric, task.kind)
        self._one_hot = task.kind == "multiclass" and takes_one_hot(self.metric)
        # Of intersection over union: Keras warns of floats, which masks are.
        self._integer_weights = "int" in str(self.metric.dtype)

    def update(self, group: TaskGroup, entries: Entries) -> None:
        """Adds one batch."""
        outputs = entries.vectors if self._vectors else entries.outputs
        columns = (entries.labels.values, group.predictions(outputs), entries.weights)
        labels, outputs, weights = (_rows(x[..., self._index, :]) for x in columns)  # (N, U)
        if group.kind == "multiclass":
            labels = ops.cast(labels[:, 0], "int32")
            labels = ops.one_hot(labels, outputs.shape[-1]) if self._one_hot else labels
            weights = weights[:, 0]
        elif not self._vectors:
            labels, outputs = (ops.reshape(x, (-1, 1)) for x in (labels, outputs))
            weights = ops.reshape(weights, (-1,))
        elif self._row_weights:
            weights = ops.max(weights, axis=-1)
        if self._vectors or self._one_hot:
            labels, outputs = (_with_spread(x, weights) for x in (labels, outputs))
        if self._integer_weights:
            weights = ops.cast(weights, "int32")
        self.metric.update_state(labels, outputs, sample_weight=weights)

    def results(self) -> dict[str, Any]:
        """The metric's value, under the task's name.

        Raises:
            ValueError: If it has several by name, which have no names in `metrics_names`.
        """
        value = self.metric.result()
        if isinstance(value, Mapping):
            raise ValueError(
                f"Metric {self.metric.name!r} of task {self.tasks[0]!r} must have one figure; give "
                f"a metric for each. Received: a result of several, {list(value)}"
            )
        return {task: value for task in self.tasks}


class EntryMean(keras.metrics.Metric):
    """Weighted means of T columns of figures (N, T)."""

    def __init__(self, num_columns: int, name: str) -> None:
        super().__init__(name=name)
        self._total = self.add_variable((num_columns,), "zeros", name="total")
        self._weight = self.add_variable((num_columns,), "zeros", name="weight")

    def update_state(self, figures: Any, weights: Any) -> None:
        """Adds figures (N, T) with their weights (N, T)."""
        self._total.assign_add(ops.sum(figures * weights, axis=0))
        self._weight.assign_add(ops.sum(weights, axis=0))

    def result(self) -> Any:
        """(T,); NaN where no weight was seen."""
        weight = self._weight.value
        is_seen = weight != 0
        return ops.where(is_seen, self._total.value / ops.where(is_seen, weight, 1.0), np.nan)


def _number_names(metrics: Sequence[keras.metrics.Metric]) -> None:
    """Gives the later ones of one name a number, as Keras does in logs."""
    taken: set[str] = set()
    for metric in metrics:
        numbered = (f"{metric.name}_{number}" for number in itertools.count(1))
        metric.name = next(
            name for name in itertools.chain([metric.name], numbered) if name not in taken
        )
        taken.add(metric.name)


def _default_metrics(group: TaskGroup) -> list[Any]:
    if group.kind == "binary":
        return [StackedAUC(group)]
    if group.kind == "multilabel":
        auc = AUC(num_labels=group.task.units, name="auc")
        return [TaskMetric(auc, group, index) for index in range(len(group.tasks))]
    if group.kind == "multiclass":
        return [StackedMean(group, "accuracy", _hits)]
    return [StackedMean(group, "mse", _squared), StackedMean(group, "mae", _absolute)]


def _split(values: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: values[index] for index, name in enumerate(names)}


def _hits(classes: Any, outputs: Any) -> Any:
    best = ops.expand_dims(ops.argmax(outputs, axis=-1), -1)  # (B, ..., T, 1)
    return ops.cast(ops.cast(classes, "int32") == ops.cast(best, "int32"), "float32")


def _squared(labels: Any, outputs: Any) -> Any:
    return ops.square(labels - outputs)


def _absolute(labels: Any, outputs: Any) -> Any:
    return ops.abs(labels - outputs)


def _fresh_metric(metric: Any, kind: str) -> keras.metrics.Metric:
    """A metric object of this task alone, from a name, a config, an object or a function."""
    if isinstance(metric, str) and metric in ("auc", "AUC"):
        return AUC(name=metric)
    if isinstance(metric, str) and metric in ("accuracy", "acc"):
        per_kind = keras.metrics.SparseCategoricalAccuracy
        made = per_kind if kind == "multiclass" else keras.metrics.BinaryAccuracy
        return made(name=metric)
    found = deep_copy(check_identifier("metrics", keras.metrics.get, metric))
    if not isinstance(found, keras.metrics.Metric):
        found = keras.metrics.MeanMetricWrapper(found, name=snake_case(found))
    if isinstance(metric, str):
        found.name = metric  # as in Keras, and without the number that tells copies apart
    found.reset_state()  # the user's object may have been used
    return found


def _plain(metric: keras.metrics.Metric) -> Any:
    """The function that a wrapper averages, or the metric itself."""
    return getattr(metric, "_fn", metric)


def _with_spread(vectors: Any, weights: Any) -> Any:
    """Vectors (N, U) that are 0, ..., 0, 1 where they have no weight (N,) or (N, U).

    Of a constant vector, as a missing one is, a correlation is NaN, and NaN times 0 as well.
    """
    width = vectors.shape[-1]
    counts = weights if len(weights.shape) > 1 else ops.expand_dims(weights, -1)
    last = ops.cast(ops.arange(width) == width - 1, vectors.dtype)  # (U,)
    return ops.where(ops.any(counts > 0, axis=-1, keepdims=True), vectors, last)


def _rows(entries: Any) -> Any:
    return ops.reshape(entries, (-1, entries.shape[-1]))  # (N, U)


def _by_task(entries: Any) -> Any:
    """(B, ..., T, U) as (N, T)."""
    if entries.shape[-1] == 1:
        return ops.reshape(entries, (-1, entries.shape[-2]))
    return ops.reshape(ops.swapaxes(entries, -1, -2), (-1, entries.shape[-2]))
