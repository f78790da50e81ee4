"""Optimizers, schedules, callbacks: Keras objects written as tables with a `class_name`."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl.checks import did_you_mean
from keras_mtl.study.importing import import_name
from keras_mtl.study.signatures import arguments_of, check_keys

_MODULES = (
    keras.optimizers,
    keras.optimizers.schedules,
    keras.callbacks,
    keras.losses,
    keras.metrics,
    keras.regularizers,
    keras.initializers,
)


class KerasObject:
    """What an argument takes that takes a table with a `class_name`; a name for annotations."""


def is_object(value: Any) -> bool:
    """Whether a value of a study file stands for a Keras object.

    Keras' own configs, with a table `config` beside the `class_name`, stay what they are.
    """
    return isinstance(value, Mapping) and "class_name" in value and "config" not in value


def class_of(name: str) -> type:
    """The Keras class called `name`, or the class `package.module:Class`."""
    own = isinstance(name, str) and ":" in name
    modules = [] if own or not isinstance(name, str) else _MODULES
    candidates = [import_name(name)] if own else [getattr(m, name, None) for m in modules]
    found = next((each for each in candidates if isinstance(each, type)), None)
    if found is None:
        known = [cls for module in _MODULES for cls in vars(module) if cls[0].isupper()]
        raise ValueError(
            "Key `class_name` must be a class of Keras or `package.module:Class`."
            f"{did_you_mean(name, known)} Received: class_name={name!r}"
        )
    return found


def make(value: Any, defaults: Mapping[str, Any]) -> Any:
    """Turns tables with a `class_name`, however deep, into objects; everything else stays.

    Args:
        value: a value of a study file.
        defaults: arguments given to every class that accepts and is not told them, such as
            `decay_steps`, which only the size of the data and the number of epochs decide.

    Example:
        >>> optimizer = make({"class_name": "Adam", "learning_rate": 0.01}, {})
        >>> round(float(optimizer.learning_rate), 3)
        0.01
    """
    if isinstance(value, list):
        return [make(item, defaults) for item in value]
    if not isinstance(value, Mapping):
        return value
    made = {key: make(item, defaults) for key, item in value.items()}
    if not is_object(value):
        return made
    cls = class_of(made.pop("class_name"))
    accepted = arguments_of(cls)
    check_keys(f"[{cls.__name__}]", made, accepted)
    return cls(**{**{key: v for key, v in defaults.items() if key in accepted}, **made})
