"""Seeds by name, and stacked kernels in which every slice is drawn as a kernel of its own."""

import copy
import hashlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.checks import check_identifier, check_seed, is_of_keras, unsaved_arguments

Initializer = Callable[..., Any]

CONSTANT = (keras.initializers.Constant, keras.initializers.Ones, keras.initializers.Zeros)

# Their values do not depend on the shape they fill, so one draw fills all slices.
SHAPE_FREE = (
    *CONSTANT,
    keras.initializers.RandomNormal,
    keras.initializers.RandomUniform,
    keras.initializers.TruncatedNormal,
)


def get_initializer(identifier: Any, name: str = "kernel_initializer") -> Initializer:
    """As `keras.initializers.get`; an array fills every slice, or the stack if it has its shape."""
    if ops.is_tensor(identifier) or isinstance(identifier, np.ndarray):
        return keras.initializers.Constant(identifier)
    if identifier is None:
        raise ValueError(f"Argument `{name}` must be an initializer. Received: {name}=None")
    return check_identifier(name, keras.initializers.get, identifier)


def derive_seed(seed: int | None, *names: str) -> int | None:
    """A seed for the part called `names` of something seeded with `seed`; `None` stays `None`.

    >>> derive_seed(7, "gate") == derive_seed(7, "gate") != derive_seed(7, "experts")
    True
    """
    if check_seed(seed) is None:
        return None
    digest = hashlib.sha256("/".join([str(seed), *names]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1  # 31 bits fit every backend's seed dtype


def root_seed(seed: int | None, initializer: Initializer) -> int | None:
    """The seed that a layer's draws derive from: its own, or else its initializer's, or `None`."""
    if seed is not None or not hasattr(initializer, "get_config"):
        return seed
    own = getattr(initializer, "seed", None)
    if isinstance(own, keras.random.SeedGenerator):
        state = ops.convert_to_numpy(own.next())  # advances it: the next user draws other values
        return derive_seed(int(state[0]), str(int(state[1])))
    # The configuration tells a seed that the user chose from one that Keras drew.
    config = initializer.get_config()
    return config["seed"] if "seed" in config else own if isinstance(own, int) else None


def reseed(config: Any, seed: int | None, *names: str) -> Any:
    """Copies a (nested) configuration with every `seed` in it replaced by one of its own.

    A replaced seed derives from `seed`, or where that is `None` from the seed it replaces, and
    from its place in the configuration; `None` without a `seed` to derive from stays `None`.
    """
    if isinstance(config, list | tuple):
        return type(config)(
            reseed(item, seed, *names, str(index)) for index, item in enumerate(config)
        )
    if not isinstance(config, dict):
        return config
    copied = {key: reseed(value, seed, *names, str(key)) for key, value in config.items()}
    own = config.get("seed")
    if "seed" in config and (own is None or isinstance(own, int)):
        copied["seed"] = derive_seed(own if seed is None else seed, *names)
    return copied


def seeded(initializer: Initializer, seed: int | None, *names: str) -> Initializer:
    """A copy of `initializer` for the kernel called `names`, which draws values of its own."""
    if isinstance(initializer, keras.initializers.Initializer) and is_of_keras(initializer):
        return type(initializer).from_config(reseed(initializer.get_config(), seed, *names))
    return redrawn(initializer, derive_seed(root_seed(seed, initializer), *names))


def redrawn(initializer: Initializer, seed: int | None, **attributes: Any) -> Initializer:
    """A copy of `initializer` that draws by `seed`; itself where it takes no seed.

    Args:
        initializer: What `get_initializer` returned.
        seed: Seed of the copy.
        **attributes: What else is to differ, for one of Keras' own, by name in its configuration.
    """
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    if is_of_keras(initializer) or _is_its_config(initializer):
        config = initializer.get_config() | attributes
        return type(initializer).from_config(config | ({"seed": seed} if "seed" in config else {}))
    if not hasattr(initializer, "seed"):
        return initializer  # what else it may draw from goes on, as in Keras
    own = initializer.seed
    # A generator's variable has no copy, and needs none.
    generator = {id(own): None} if isinstance(own, keras.random.SeedGenerator) else None
    made = copy.deepcopy(initializer, generator)
    # Keras' own keep what the user said under the second name, for their configuration.
    said = {name: seed for name in ("seed", "_init_seed") if hasattr(made, name)}
    vars(made).update(said)
    return made


def _is_its_config(initializer: keras.initializers.Initializer) -> bool:
    """Whether a user's initializer can be made from its configuration, seed included."""
    config = initializer.get_config()
    parameters = inspect.signature(type(initializer)).parameters.values()
    takes_more = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    taken = {parameter.name for parameter in parameters}
    whole = takes_more or config.keys() <= taken
    return "seed" in config and whole and not unsaved_arguments(initializer)


class StackedInitializer(keras.initializers.Initializer):
    """Fills a stack (N, ...) so that each of its N slices is one draw of `initializer`.

    Keras' own initializers read a stack as one convolution kernel (a wrong variance), and one
    object or seed used for every slice makes all of them equal. Here a slice has the variance that
    its own shape asks for and values of its own. The values depend on the seed of the layer, or
    else of the initializer, and on `names`, so two kernels made by one initializer differ as well.

    Args:
        initializer: what `get_initializer` returned.
        seed: seed of the layer that owns the stack, or `None`.
        *names: what tells this stack from the others of its layer.
        slices: a number for each slice, from which it is drawn whatever the other slices are; by
            default, a slice's draw may depend on how many there are.
    """

    def __init__(
        self,
        initializer: Initializer,
        seed: int | None,
        *names: str,
        slices: Sequence[int] | None = None,
    ) -> None:
        self.initializer = initializer
        self.seed = derive_seed(root_seed(seed, initializer), *names)
        self.slices = slices

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Returns the stack: at once where the initializer allows it, else slice by slice."""
        if isinstance(self.initializer, StackedInitializer):
            return self.initializer(shape, dtype=dtype)
        at_once = self._at_once(len(shape))
        if at_once is not None:
            return at_once(shape, dtype=dtype)
        numbers = self.slices or range(shape[0])
        drawn = (redrawn(self.initializer, self.seed_of(str(number))) for number in numbers)
        slices = [ops.convert_to_numpy(draw(shape[1:], dtype=dtype)) for draw in drawn]
        return ops.convert_to_tensor(np.stack(self._distinct(slices)), dtype=dtype)

    def _at_once(self, rank: int) -> Initializer | None:
        """What draws the whole stack of rank `rank`; None where each slice is drawn alone."""
        own = self.initializer
        if not is_of_keras(own):
            return None  # a user's subclass may read the shape, or take other arguments
        if isinstance(own, CONSTANT) or (self.slices is None and isinstance(own, SHAPE_FREE)):
            return redrawn(own, self.seed_of())
        if self.slices is None and isinstance(own, keras.initializers.VarianceScaling):
            # One draw, told which axes of the stack are a slice's own.
            return redrawn(own, self.seed_of(), **fan_axes(own, rank))
        return None

    def seed_of(self, *names: str) -> int | None:
        """The seed of the stack, or of the slice called `names`."""
        return derive_seed(self.seed, *names)

    def _distinct(self, slices: list[np.ndarray]) -> list[np.ndarray]:
        """Shuffles every slice where a callable with a fixed seed drew all of them equal."""
        fixed = isinstance(self.initializer, (keras.initializers.Identity, *CONSTANT))
        if fixed or len(slices) < 2 or not np.array_equal(slices[0], slices[1]):
            return slices
        generator = np.random.default_rng(self.seed)
        return [generator.permutation(values.ravel()).reshape(values.shape) for values in slices]


class FlatStackInitializer(keras.initializers.Initializer):
    """Fills a vector (N * U,) with the slices of a stack (N, U), one after the other.

    Args:
        initializer: of the stack.
        num_slices: number N of its slices.
    """

    def __init__(self, initializer: StackedInitializer, num_slices: int) -> None:
        self.initializer = initializer
        self.num_slices = num_slices

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Returns the vector."""
        stack = (self.num_slices, shape[0] // self.num_slices)
        return ops.reshape(self.initializer(stack, dtype=dtype), shape)


def fan_axes(initializer: keras.initializers.VarianceScaling, rank: int) -> dict[str, list[int]]:
    """The input and output axes of one slice, counted in a stack of rank `rank`."""
    if initializer.input_axes is not None and initializer.output_axes is not None:
        return {
            "input_axes": [axis % (rank - 1) + 1 for axis in initializer.input_axes],
            "output_axes": [axis % (rank - 1) + 1 for axis in initializer.output_axes],
        }
    window = list(range(1, rank - 2))  # the receptive field of a convolution's kernel
    return {"input_axes": [*window, max(rank - 2, 1)], "output_axes": [*window, rank - 1]}
