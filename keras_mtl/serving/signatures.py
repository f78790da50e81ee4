"""What a model's export answers: the functions behind its signatures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_mtl.features.input_limits import within_limits
from keras_mtl.serving.argument_names import argument_names
from keras_mtl.serving.task_graph import TaskGraph
from keras_mtl.serving.tf_examples import EXAMPLES, parser_of_columns, parser_of_inputs
from keras_mtl.task import JOINT_SUFFIX, Task, given_chain

Tensors = dict[str, Any]


def signature_functions(model: Any) -> dict[str, Any]:
    """The concrete functions by signature name."""
    import tensorflow as tf

    table = model.features
    raw_specs = default_specs(model)
    encode = _as_it_is if table is None else table.encode_tensors
    everything = _predictor(model, model.tasks)
    signatures = {"serving_default": _concrete(everything, encode, raw_specs)}
    for task in model.tasks:
        signatures[task.name] = _concrete(_predictor(model, [task]), encode, raw_specs)
    signatures["packed"] = packed_function(model)
    parse = _parser(model)
    if parse is not None:
        specs = {EXAMPLES: tf.TensorSpec([None], tf.string, EXAMPLES)}
        signatures[EXAMPLES] = _concrete(
            everything, lambda inputs: encode(parse(inputs[EXAMPLES])), specs
        )
    return signatures


def default_specs(model: Any) -> dict[str, Any]:
    """What `serving_default` takes: raw columns by name, or the model's own inputs."""
    table = model.features
    return _named(input_specs(model) if table is None else table.serving_signature(), model)


def packed_function(model: Any) -> Any:
    """The concrete function of all tasks, from the model's own inputs."""
    specs = _named(input_specs(model), model)
    return _concrete(_predictor(model, model.tasks), _as_it_is, specs)


def summary(names: Sequence[str], most: int = 8) -> str:
    """Names of signatures in a line: all of a few, or else how many there are.

    >>> summary(["serving_default", "click", "packed"])
    'serving_default, click, packed'
    >>> summary(["serving_default", "a", "b", "c", "packed"], most=3)
    'serving_default, a and 3 more'
    """
    if len(names) <= most:
        return ", ".join(names)
    shown = most - 1
    return f"{', '.join(names[:shown])} and {len(names) - shown} more"


def _parser(model: Any) -> Callable[[Any], Tensors] | None:
    if model.features is None:
        return parser_of_inputs(input_specs(model))
    return parser_of_columns(model.features)


def input_arguments(model: Any) -> dict[str, str]:
    """The argument that stands for each column and each input."""
    columns = {} if model.features is None else model.features.serving_signature()
    return argument_names(sorted({*columns, *_inputs_by_name(model)}))


def _named(specs: Mapping[str, Any], model: Any) -> dict[str, Any]:
    import tensorflow as tf

    arguments = input_arguments(model)
    return {
        name: tf.TensorSpec(spec.shape, spec.dtype, arguments[name]) for name, spec in specs.items()
    }


def input_specs(model: Any) -> dict[str, Any]:
    """What the model itself takes, by name."""
    import tensorflow as tf

    return {
        name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)
        for name, tensor in _inputs_by_name(model).items()
    }


def _inputs_by_name(model: Any) -> dict[str, keras.KerasTensor]:
    """The model's inputs by the keys of their dict, or else by names of their own."""
    if isinstance(model.input, Mapping):
        return dict(model.input)
    return {tensor.name: tensor for tensor in keras.tree.flatten(model.input)}


def _as_it_is(packed: Tensors) -> Tensors:
    return packed


def _predictor(model: Any, tasks: list[Task]) -> Callable[[Tensors], Tensors]:
    """The part of the model's graph that `tasks` need, and their products along `given`."""
    by_name = {task.name: task for task in model.tasks}
    joint = {
        task.name: [task.name, *(parent.name for parent in given_chain(task, by_name))]
        for task in tasks
        if task.trained_on == "all"
    }
    needed = {task.name for task in tasks} | {name for chain in joint.values() for name in chain}
    graph = TaskGraph({name: model.output[name] for name in sorted(needed)})
    tensors = _inputs_by_name(model)
    inputs = {id(tensor): name for name, tensor in tensors.items()}

    def predict(packed: Tensors) -> Tensors:
        given = within_limits(tensors, packed)
        outputs = graph({tensor: given[name] for tensor, name in inputs.items()})
        predictions = {task.name: outputs[task.name] for task in tasks}
        for name, chain in joint.items():
            factors = [outputs[link] for link in chain]  # (B, 1) each
            predictions[name + JOINT_SUFFIX] = keras.ops.prod(keras.ops.stack(factors), axis=0)
        return predictions

    return predict


def _concrete(
    predict: Callable[[Tensors], Tensors],
    encode: Callable[[Tensors], Tensors],
    specs: Mapping[str, Any],
) -> Any:
    import tensorflow as tf

    function = tf.function(
        lambda inputs: predict(encode(inputs)), input_signature=[dict(specs)], autograph=False
    )
    return function.get_concrete_function()
