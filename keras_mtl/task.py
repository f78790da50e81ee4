"""What a label is: its kind, when it is missing, on which rows it exists, what it costs."""

import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import (
    check_choice,
    check_number,
    check_positive,
    listed,
    shown,
    unsaved_arguments,
)
from keras_mtl.own_objects import as_config, check_metric_names, from_config

KINDS = ("binary", "multiclass", "multilabel", "regression")
RESERVED_NAMES = ("loss", "serving_default", "packed", "examples")
JOINT_SUFFIX = "_joint"

_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.-]*")


@keras_mtl_export
class Task:
    """One thing to predict: its name, its kind of label, and what hangs on them.

    The loss of a task over the labelled entries `i` of the global batch is

        L = sum_i w_i c_i loss(y_i, p_i) / n

    with sample weights `w`, class weights `c` and `n` the *number* of labelled entries. An entry is
    a row (binary, multiclass), a column of a row (multilabel, several regression targets) or a
    pixel of a dense label. Where no entry is labelled, `NAME_loss` and the task's metrics are NaN,
    and `loss` is over the other tasks.

    Args:
        name: Letters, digits, `_`, `.` and `-`. The key of the task's labels, predictions, losses
            (`NAME_loss`) and metrics (`NAME_auc`), and of its served signature.
        kind: `"binary"`, `"multiclass"`, `"multilabel"` or `"regression"`.
        units: Classes of a multiclass task, columns of a multilabel or regression task; 1
            otherwise.
        missing: What marks a missing label: `"auto"` (NaN in floats, -1 in integers; of a
            regression task NaN alone), a number, or None. A number is compared in the labels' own
            dtype; labels in floats that would make another whole number of it are refused. Masked
            entries are missing as well.
        given: Name of a binary task: this task exists only where that label is 1. An unknown label
            there leaves the row out.
        trained_on: `"given"` puts the loss on the rows where the task exists; `"all"` puts it on
            the product of the probabilities along the `given` chain over all rows (the entire
            space, as ESMM). Then `NAME`, in predictions and exports, is the probability given the
            chain, and `NAME_joint` the product; `NAME_loss` is of the product over all rows,
            `NAME_auc` of `NAME` over the rows where the task exists, and `NAME_joint_auc`, logged
            with the kind's own metrics, of the product over all rows.
        weight_column: Name, or names, of columns in the labels dict that hold row weights.
        group_column: Name of the column in the labels dict that holds a row's group. It is saved
            with the task; no metric reads it yet.
        loss: Keras loss, its name or its config; None is the kind's own loss. Every model takes a
            copy of its own. Labels of a multiclass task come to a user's own loss, and to Keras'
            sparse ones, as class ids (B, ...); to all others of Keras one-hot (B, ..., units).
        metrics: Keras metrics, names or configs; None are the kind's own metrics. Copies and labels
            as for `loss`. A name that was chosen stands once, and is not `loss`; names that Keras
            gives are numbered. Of labels of one class alone `"auc"`, this package's `AUC`, is NaN;
            `keras.metrics.AUC` is 0 there.
        weight: Factor of this task's loss, unless `compile(loss_weights=...)` gives another.
        class_weight: Weights by class, for binary and multiclass tasks; `fit(class_weight=...)`
            overrides it.

    Raises:
        ValueError: If a name, a kind or a combination of arguments is not allowed.

    Example:

    >>> click = Task("click")
    >>> conversion = Task("conversion", given="click", trained_on="all")
    >>> Task("topic", "multiclass", units=5).units
    5

    Reference:
        X. Ma et al., Entire Space Multi-Task Model, SIGIR 2018, for `trained_on="all"` (eq. 3).
    """

    def __init__(
        self,
        name: str,
        kind: str = "binary",
        units: int | None = None,
        missing: str | float | None = "auto",
        given: str | None = None,
        trained_on: str = "given",
        weight_column: str | Sequence[str] | None = None,
        group_column: str | None = None,
        loss: Any = None,
        metrics: Any = None,
        weight: float = 1.0,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        self.name = _check_name(name)
        self.kind = check_choice("kind", kind, KINDS)
        self.units = _check_task_units(name, kind, units)
        self.missing = _check_missing(missing)
        self.given = _check_column("given", given)
        self.trained_on = _check_trained_on(name, kind, given, trained_on, loss)
        self.weight_column = weight_column if weight_column is None else _names(weight_column)
        self.group_column = _check_column("group_column", group_column)
        self.loss = loss
        self.metrics = _check_metrics(name, metrics)
        self.weight = check_number("weight", weight)
        self.class_weight = _check_class_weight(name, kind, self.units, class_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments this task was made with."""
        weights = self.class_weight
        return {
            "name": self.name,
            "kind": self.kind,
            "units": self.units,
            "missing": self.missing,
            "given": self.given,
            "trained_on": self.trained_on,
            "weight_column": self.weight_column,
            "group_column": self.group_column,
            "loss": as_config(self.loss),
            "metrics": self.metrics and [as_config(metric) for metric in self.metrics],
            "weight": self.weight,
            "class_weight": weights and {str(k): weight for k, weight in weights.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Task":
        """A task from `get_config()`; class weights come back from JSON with string keys."""
        metrics = config.get("metrics")
        own = {
            "loss": from_config(config.get("loss")),
            "metrics": metrics and [from_config(metric) for metric in metrics],
        }
        return cls(**{**config, **own})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Task):
            return False
        return self.get_config() == other.get_config() and self._unsaved() == other._unsaved()

    def _unsaved(self) -> list[Any]:
        """Objects of which the config does not tell all: each equals itself alone."""
        own = [self.loss, *(self.metrics or [])]
        return [x for x in own if hasattr(x, "get_config") and unsaved_arguments(x)]

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Task({self.name!r}, kind={self.kind!r}, units={self.units})"


def as_tasks(tasks: Task | str | Iterable[Task | str]) -> list[Task]:
    """`tasks` as a list of `Task`s, a string meaning a binary task; checks them as a whole.

    Raises:
        ValueError: If there is no task, a name stands twice, or `given` names no binary task or a
            cycle.
    """
    given = [tasks] if isinstance(tasks, Task | str) or not isinstance(tasks, Iterable) else tasks
    made = [Task(task) if isinstance(task, str) else task for task in given]
    if not made or not all(isinstance(task, Task) for task in made):
        raise ValueError(
            f"Argument `tasks` must hold at least one Task or task name. Received: tasks={made}"
        )
    names = [task.name for task in made]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Task names must be unique. Received twice: {', '.join(twice)}")
    for name in names:
        if name == "val" or (name.startswith("val_") and name.removeprefix("val_") in names):
            raise ValueError(
                "A task must not be named so that its figures look like validation figures: "
                f"`val`, or `val_` and another task's name. Received: name={name!r}"
            )
    by_name = {task.name: task for task in made}
    for task in made:
        given_chain(task, by_name)
        if task.trained_on == "all" and task.name + JOINT_SUFFIX in by_name:
            raise ValueError(
                "A task must not be named as the served product of another one. "
                f"Received: name={task.name + JOINT_SUFFIX!r}"
            )
    return made


def given_chain(task: Task, by_name: Mapping[str, Task]) -> list[Task]:
    """The tasks that `task` depends on through `given`, nearest first.

    Raises:
        ValueError: If `given` names no binary task of the model, or the chain comes back to a task.
    """
    chain: list[Task] = []
    current = task
    while current.given is not None:
        parent = by_name.get(current.given)
        if parent is None or parent.kind != "binary":
            raise ValueError(
                f"Argument `given` of task {current.name!r} must name a binary task of the model. "
                f"Received: given={current.given!r}, binary tasks="
                f"{[name for name, other in by_name.items() if other.kind == 'binary']}"
            )
        if parent is task or parent in chain:
            cycle = " -> ".join([task.name, *(step.name for step in chain), parent.name])
            raise ValueError(f"Argument `given` must not form a cycle. Received: {cycle}")
        chain.append(parent)
        current = parent
    return chain


def _check_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "A task's name must start with a letter, a digit or '.', and go on with those, '_' or "
            f"'-'. Received: name={name!r}"
        )
    if name in RESERVED_NAMES:
        raise ValueError(
            f"A task's name must not be one of the reserved {', '.join(RESERVED_NAMES)}. "
            f"Received: name={name!r}"
        )
    return name


def _check_task_units(name: str, kind: str, units: Any) -> int:
    if units is None and kind in ("binary", "regression"):
        return 1
    if kind == "binary" and not (isinstance(units, Integral) and units == 1):
        raise ValueError(
            f"Argument `units` of the binary task {name!r} must be 1 or None; several yes-or-no "
            f'columns are kind="multilabel". Received: units={shown(units)}'
        )
    least = 2 if kind == "multiclass" else 1
    if units is None or check_positive("units", units) < least:
        raise ValueError(
            f"Argument `units` of the {kind} task {name!r} must be an integer of at least {least}. "
            f"Received: units={shown(units)}"
        )
    return int(units)


def _check_missing(missing: Any) -> str | float | None:
    if missing is None or (isinstance(missing, str) and missing == "auto"):
        return missing
    number = isinstance(missing, int | float) and not isinstance(missing, bool)
    # An integer that float64 cannot reach is in no label.
    if number and isinstance(missing, int):
        number = abs(missing) <= sys.float_info.max
    if not number or math.isnan(missing):
        raise ValueError(
            f'Argument `missing` must be "auto", which marks NaN, a number or None. '
            f"Received: missing={shown(missing)}"
        )
    return missing


def _check_metrics(name: str, metrics: Any) -> list[Any] | None:
    if metrics is None:
        return None
    check_metric_names(name, listed(metrics))
    return listed(metrics)


def _check_trained_on(name: str, kind: str, given: str | None, trained_on: Any, loss: Any) -> str:
    check_choice("trained_on", trained_on, ("given", "all"))
    if trained_on == "all" and (given is None or kind != "binary" or loss is not None):
        raise ValueError(
            f'Argument `trained_on="all"` of task {name!r} must go with kind="binary", a `given` '
            "task and no `loss` of its own: it is the cross-entropy of a product of probabilities. "
            f"Received: kind={kind!r}, given={given!r}, loss={loss!r}"
        )
    return trained_on


def _check_class_weight(
    name: str, kind: str, units: int, class_weight: Mapping[Any, float] | None
) -> dict[int, float] | None:
    if class_weight is None:
        return None
    classes = {"binary": 2, "multiclass": units}.get(kind, 0)
    names = {name: label for label in range(classes) for name in (label, str(label))}
    named = isinstance(class_weight, Mapping) and all(label in names for label in class_weight)
    if not named or not class_weight:
        raise ValueError(
            f"Argument `class_weight` of the {kind} task {name!r} must map classes in "
            f"[0, {classes}) to weights. Received: class_weight={class_weight!r}"
        )
    return {names[label]: check_number("class_weight", w) for label, w in class_weight.items()}


def _names(value: str | Sequence[str]) -> list[str]:
    names = listed(value)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "Argument `weight_column` must be the name of a column or a list of names. "
            f"Received: weight_column={value!r}"
        )
    return names


def _check_column(argument: str, name: Any) -> str | None:
    if name is not None and not isinstance(name, str):
        raise ValueError(
            f"Argument `{argument}` must be a name or None. Received: {argument}={name!r}"
        )
    return name
