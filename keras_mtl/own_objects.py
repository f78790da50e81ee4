"""Users' own losses and metrics: copies of them, and whether a file can hold them."""

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from inspect import signature
from types import FunctionType, MethodType
from typing import Any

import keras

from keras_mtl.checks import is_of_keras, unsaved_arguments, wrapped_arguments

_KEPT_BY_KERAS = keras.losses.Loss | keras.metrics.Metric
_PARTS = keras.initializers.Initializer | keras.regularizers.Regularizer


def deep_copy(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """A deep copy with variables of its own; layers and models stay the user's.

    `copy.deepcopy` makes Keras' losses and metrics anew from their configurations, which need not
    hold all that they were made with.
    """
    memo = {} if memo is None else memo
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, keras.Operation | type):
        made = value
    elif isinstance(value, keras.Variable):
        made = _copy_variable(value)
    elif _copies_itself(value):
        made = copy.deepcopy(value, memo)
    elif isinstance(value, MethodType):
        made = MethodType(value.__func__, deep_copy(value.__self__, memo))
    elif type(value) in (list, tuple, set, dict) or _is_tracked(value):
        made = _copy_container(value, memo)
    elif _is_plain(value):
        return _copy_object(value, memo)
    else:
        made = _copy_other(value, memo)
    memo[id(value)] = made
    return made


def _copies_itself(value: Any) -> bool:
    """Whether its class, or one that it is derived from, defines how a user's object is copied."""
    owner = next((kind for kind in type(value).__mro__ if "__deepcopy__" in vars(kind)), None)
    return owner is not None and owner.__module__.split(".")[0] not in ("keras", "keras_mtl")


def _is_plain(value: Any) -> bool:
    """Whether the object is no more than its attributes."""
    plain = type(value).__reduce_ex__ is object.__reduce_ex__ and hasattr(value, "__dict__")
    own = hasattr(value, "__deepcopy__") or type(value).__reduce__ is not object.__reduce__
    return isinstance(value, _KEPT_BY_KERAS) or (
        plain and not own and not callable(getattr(type(value), "__get__", None))
    )


def _copy_object(value: Any, memo: dict[int, Any]) -> Any:
    made = memo[id(value)] = object.__new__(type(value))
    for name, attribute in vars(value).items():
        made.__dict__[name] = deep_copy(attribute, memo)
    tracker = vars(made).get("_tracker")
    if tracker is not None:  # Keras knows what it tracks by the objects' ids
        tracker.stored_ids = {
            store: {id(x) for x in tracked} for store, (_, tracked) in tracker.config.items()
        }
    return made


def _copy_container(value: Any, memo: dict[int, Any]) -> Any:
    made: Any
    if isinstance(value, dict):
        made = type(value)({key: deep_copy(item, memo) for key, item in value.items()})
    else:
        made = type(value)([deep_copy(item, memo) for item in value])
    if _is_tracked(value):
        made.tracker = deep_copy(value.tracker, memo)
    return made


def _is_tracked(value: Any) -> bool:
    """Whether it is one of the containers that Keras puts in place of an attribute's."""
    return isinstance(value, list | set | dict) and hasattr(value, "tracker")


def _copy_other(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, memo)
    except TypeError:  # a module, a lock: there is one of it
        return value


def _copy_variable(variable: keras.Variable) -> keras.Variable:
    return keras.Variable(
        keras.ops.convert_to_numpy(variable),
        dtype=variable.dtype,
        trainable=variable.trainable,
        aggregation=variable.aggregation,
        synchronization=variable.synchronization,
        name=variable.name,
    )


def check_metric_names(task: str, metrics: Sequence[Any]) -> None:
    """Raises `ValueError` for a metric named `loss`, and for a name that was chosen twice.

    Names that Keras gives are not chosen: two `BinaryAccuracy` are numbered, as Keras does.
    """
    names = [name for name in map(_chosen_name, metrics) if name is not None]
    refused = sorted({name for name in names if name == "loss" or names.count(name) > 1})
    if refused:
        raise ValueError(
            f"Metrics of task {task!r} must have names of their own, none of them `loss`. "
            f"Received: {', '.join(map(repr, refused))} among {names}"
        )


def _chosen_name(metric: Any) -> str | None:
    """The name that a metric goes by in logs, where a user chose it."""
    if isinstance(metric, str):
        return metric
    if not isinstance(metric, keras.metrics.Metric):
        return None
    without_number = re.sub(r"_\d+$", "", metric.name)
    by_class = without_number.replace("_", "").lower() == type(metric).__name__.lower()
    return None if by_class else metric.name


def as_config(value: Any) -> Any:
    """A loss or metric object gives its config, with what Keras leaves out; the rest stays."""
    if not isinstance(value, _KEPT_BY_KERAS):
        return value
    config = keras.saving.serialize_keras_object(value)
    return {**config, "config": {**wrapped_arguments(value), **config["config"]}}


def from_config(value: Any) -> Any:
    """The loss or metric of a config; a config stays where its class is not known here."""
    if not (isinstance(value, dict) and "class_name" in value):
        return value
    try:
        return keras.saving.deserialize_keras_object(value)
    except (TypeError, ValueError):
        return value  # predictions need no loss; `compile` says what is missing


def check_saveable(named: Iterable[tuple[str, Any]]) -> None:
    """Raises `ValueError` for the first object that a file would not bring back as it is.

    Args:
        named: Objects, or whatever holds them, each with what to call it in the sentence.
    """
    for name, value in named:
        for item in keras.tree.flatten(value):
            _check_lambda(name, item)
            _check_function(name, item)
            _check_arguments(name, item)


def check_functions(named: Iterable[tuple[str, Any]]) -> None:
    """Raises `ValueError` for the first function that not even a config can hold."""
    for name, value in named:
        for item in keras.tree.flatten(value):
            _check_function(name, item)


def objects_of(task: Any) -> list[tuple[str, Any]]:
    """A task's loss and metrics, each with what to call it in a sentence."""
    return [
        (f"`loss` of task {task.name!r}", task.loss),
        (f"`metrics` of task {task.name!r}", task.metrics),
    ]


def _check_lambda(name: str, value: Any) -> None:
    value = _wrapped(value)
    if getattr(value, "__name__", None) == "<lambda>":
        raise ValueError(
            f"A model cannot be saved with a lambda as {name}: a file cannot hold it. "
            f"Define a function by its name. Received: {value!r}"
        )


def _check_function(name: str, value: Any) -> None:
    value = _wrapped(value)
    if callable(value) and not isinstance(value, FunctionType | type) and not _has_config(value):
        raise ValueError(
            f"A model cannot be saved with {type(value).__name__!r} as {name}: a file holds "
            "functions by their names, and objects that have `get_config`. "
            f"Received: {value!r}"
        )


def _check_arguments(name: str, value: Any) -> None:
    if not isinstance(value, _KEPT_BY_KERAS | _PARTS):
        return
    unsaved = unsaved_arguments(value)
    if unsaved:
        raise ValueError(
            f"The `get_config` of {type(value).__name__}, {name}, must hold every argument of its "
            f"constructor, or a saved model would come back with other ones. "
            f"Received: no {', '.join(unsaved)} in it"
        )


def _wrapped(value: Any) -> Any:
    """The function that a config of one of Keras' wrappers holds; anything else is itself."""
    if not isinstance(value, _KEPT_BY_KERAS) or "fn" not in signature(type(value)).parameters:
        return value
    return _wrapped(getattr(value, "fn", getattr(value, "_fn", None)))


def _has_config(value: Any) -> bool:
    return hasattr(value, "get_config")


def _is_of_user(part: Any) -> bool:
    """Whether neither Keras made the part's class nor this package, which wraps those of users."""
    return not is_of_keras(part) and not type(part).__module__.startswith("keras_mtl.")


def parts_of(layers: Iterable[keras.layers.Layer]) -> Iterator[tuple[str, Any]]:
    """Users' own activations, initializers and regularizers in this package's layers and tables."""
    for layer in layers:
        if type(layer).__module__.split(".")[0] == "keras_mtl":
            table = getattr(layer, "table", None)
            for holder in (layer, *([] if table is None else [table])):
                arguments = signature(type(holder)).parameters  # slow: once per holder
                for attribute, value in vars(holder).items():
                    if _is_part(attribute in arguments, value) and _is_of_user(value):
                        yield f"`{attribute}` of layer {layer.name!r}", value


def _is_part(is_argument: bool, value: Any) -> bool:
    """Whether it is an initializer or a regularizer, or a function that its holder was given."""
    return isinstance(value, _PARTS) or (is_argument and callable(value) and not _has_config(value))
