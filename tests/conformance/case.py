"""What a case of the wall is, and the guarantees that it is held to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

import keras_mtl
from keras_mtl import MultiTaskModel

GUARANTEES = {
    "config": "its configuration, through JSON, makes the same thing again",
    "docstring": "its docstring is complete",
    "weights": "`build` makes all its weights, the first call none; symbolic shapes are eager ones",
    "seeds": "the same seed draws the same weights, another seed others",
    "slices": "no two slices of a stacked kernel are equal, each has the variance of its fan-in",
    "trained": "every number of its weights has a gradient of its own in one of 20 batches",
    "file": "saved here, it predicts and evaluates in a fresh process",
    "resumed": "saved here, it trains on in a fresh process as it does here",
    "golden": "a file of this version is kept, and later versions load it",
    "backends": "from its file, it trains to the same numbers on TensorFlow and on JAX",
    "optimizers": "Adam moves it as NumPy does with dense gradients; clipping bounds their norm",
    "served": "exported, it answers in a process without Keras what `predict` gives",
    "precision": "mixed precision trains with finite losses and float32 heads",
    "replicas": "two replicas give the numbers of one",
    "compiled": "`jit_compile=True` gives the same numbers",
    "kernels": "every operation of its training step has a GPU kernel",
}

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Anew:
    """An argument that every use needs a new one of: a layer, a regulariser."""

    make: Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to use one public name.

    Attributes:
        public: the name, as after `keras_mtl.`.
        option: what sets this case apart from others of the name; empty for the plain one.
        arguments: what the name is called with.
        weights: number of weights of a layer, or of the model.
        model: a model around what the case makes, from a seed; None where there is none.
        compiled: what its model is compiled with, beside the optimizer.
        inputs: what the model takes, from a number of rows and a seed.
        raw: what a server is sent for the same rows; the inputs themselves by default.
        labels: by task, from a number of rows and a seed.
        exempt: reasons by guarantees that cannot be asked of this case.
    """

    public: str
    option: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: int = 0
    model: Callable[[int], MultiTaskModel] | None = None
    compiled: Mapping[str, Any] = field(default_factory=dict)
    inputs: Callable[[int, int], Any] | None = None
    raw: Callable[[int, int], Arrays] | None = None
    labels: Callable[[int, int], Arrays] | None = None
    exempt: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return " ".join(filter(None, [self.public, self.option]))

    @property
    def target(self) -> Callable[..., Any]:
        """The class or function itself."""
        found: Any = keras_mtl
        for part in self.public.split("."):
            found = getattr(found, part)
        return found

    def make(self, **more: Any) -> Any:
        """What the name gives for the case's arguments, or for others in their place."""
        return self.target(**{**fresh(self.arguments), **more})

    def compile(self, model: MultiTaskModel, **options: Any) -> MultiTaskModel:
        """Compiles the case's model as every guarantee that trains does."""
        optimizer = keras.optimizers.SGD(0.1, momentum=0.5)
        model.compile(optimizer, **fresh(self.compiled), **options)
        return model


def fresh(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with whatever is made anew each time."""
    return {
        name: value.make() if isinstance(value, Anew) else value
        for name, value in arguments.items()
    }
