"""What `compile` was asked for: by task, checked, with the tasks' own defaults under it."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl import own_objects
from keras_mtl.checks import check_number, check_task_keys, listed
from keras_mtl.task import Task
from keras_mtl.training import replicas
from keras_mtl.training.optimizer_hook import parts

# MMoE on two CPU cores: 9 % more rows a second than a step a call, for a start 0.2 s later.
STEPS_PER_EXECUTION = 16


def losses_by_task(tasks: Sequence[Task], loss: Any) -> dict[str, Any]:
    """The losses that are not the default of their task's kind."""
    by_task = _by_task("loss", tasks, loss)
    losses = {
        task.name: by_task.get(task.name) if by_task.get(task.name) is not None else task.loss
        for task in tasks
    }
    own = {name: value for name, value in losses.items() if value is not None}
    for task in tasks:
        if task.trained_on == "all" and task.name in own:
            raise ValueError(
                f'Argument `loss` must leave out tasks that are trained on "all" rows: theirs is '
                f"the cross-entropy of a product. Received: loss for {task.name!r}"
            )
    return own


def metrics_by_task(tasks: Sequence[Task], metrics: Any, weighted: Any) -> dict[str, list[Any]]:
    """The metrics of tasks that do not take the defaults of their kind.

    Keras' two lists are one here: a metric that did not see the mask would be wrong.
    """
    first = _by_task("metrics", tasks, metrics)
    second = _by_task("weighted_metrics", tasks, weighted)
    own: dict[str, list[Any]] = {}
    for task in tasks:
        asked = [
            given for given in (first.get(task.name), second.get(task.name)) if given is not None
        ]
        if asked:
            own[task.name] = [m for given in asked for m in listed(given)]
            own_objects.check_metric_names(task.name, own[task.name])
        elif task.metrics is not None:
            own[task.name] = list(task.metrics)
    return own


def weights_by_task(tasks: Sequence[Task], loss_weights: Any) -> list[float]:
    """Factor of every task's loss."""
    by_task = _by_task("loss_weights", tasks, loss_weights)
    weights = (by_task.get(task.name) for task in tasks)
    return [
        t.weight if w is None else check_number("loss_weights", w)
        for t, w in zip(tasks, weights, strict=True)
    ]


def class_weights_by_task(tasks: Sequence[Task], class_weight: Any) -> dict[str, Any]:
    """Class weights that override the tasks' own; a model of one task also takes the plain dict."""
    if class_weight is None:
        return {}
    plain = isinstance(class_weight, Mapping) and tasks[0].name not in class_weight
    if len(tasks) == 1 and plain:
        class_weight = {tasks[0].name: class_weight}
    by_task = _by_task("class_weight", tasks, class_weight)
    return {
        task.name: Task(
            task.name, task.kind, task.units, class_weight=by_task[task.name]
        ).class_weight
        for task in tasks
        if by_task.get(task.name) is not None
    }


def check_saveable(model: Any) -> None:
    """Raises `ValueError` for what would not come back from a file as it is.

    A function without a name, or an object whose `get_config` leaves out arguments of its
    constructor.
    """
    named = [one for task in model.tasks for one in own_objects.objects_of(task)]
    if model.compiled:
        asked = model._compile_arguments
        for key in ("loss", "metrics", "weighted_metrics"):
            named += _named(key, asked[key])
    own_objects.check_saveable([*named, *own_objects.parts_of(model._flatten_layers())])


def _named(argument: str, value: Any) -> list[tuple[str, Any]]:
    """What `compile` was given, with its task's name where it was given by task."""
    if isinstance(value, Mapping) and "class_name" not in value:
        return [(f"`{argument}` of task {task!r}", part) for task, part in value.items()]
    return [(f"`{argument}`", value)]


def steps_per_execution(asked: Any, run_eagerly: bool) -> int:
    """`"auto"` is 16 steps a call on one replica, 1 otherwise."""
    if asked != "auto":
        return asked
    return 1 if run_eagerly or replicas.num_replicas() > 1 else STEPS_PER_EXECUTION


def check_floatx() -> None:
    """Raises `ValueError` unless numbers are float32 by default: heads and losses are in it."""
    if keras.config.floatx() != "float32":
        raise ValueError(
            '`keras.config.floatx()` must be "float32", in which heads, losses and metrics are '
            "computed. For half precision, call `keras.config.set_dtype_policy`. "
            f"Received: floatx={keras.config.floatx()!r}"
        )


def check_distribution(optimizer: Any, steps: int, jit_compile: Any) -> None:
    """Raises `ValueError` for what gives other numbers on several replicas than on one."""
    replicas.check_strategy()
    if replicas.num_replicas() == 1:
        return
    _refuse("steps_per_execution", steps > 1 and steps, "leave it out: it is 1 on several replicas")
    _refuse("jit_compile", jit_compile is True, "leave it out, or train on one device")
    advice = "lower the learning rate: each replica would clip its own part of the gradient"
    for part in parts(keras.optimizers.get(optimizer)):
        accumulated = getattr(part, "gradient_accumulation_steps", None)
        _refuse("optimizer.gradient_accumulation_steps", accumulated, "use larger batches")
        for clip in ("clipnorm", "global_clipnorm", "clipvalue"):
            _refuse(f"optimizer.{clip}", getattr(part, clip, None), advice)


def _refuse(name: str, value: Any, advice: str) -> None:
    if value:
        raise ValueError(
            f"Argument `{name}` must not be set on several replicas; {advice}. "
            f"Received: {name}={value}, replicas={replicas.num_replicas()}"
        )


def _by_task(argument: str, tasks: Sequence[Task], value: Any) -> Mapping[str, Any]:
    """`value` as a mapping by task name; a value that is no mapping holds for every task."""
    names = [task.name for task in tasks]
    if not isinstance(value, Mapping) or "class_name" in value:
        if isinstance(value, list | tuple) and argument == "loss":
            raise ValueError(
                f"Argument `loss` must be one loss or a dict by task name. Received: loss={value}"
            )
        return dict.fromkeys(names, value)
    check_task_keys(argument, value, names)
    return value
