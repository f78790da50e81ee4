"""Training steps of one layer in JAX, compiled as one loop."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras

from benchmarks.peers.feed_forward import loss


class JaxSteps:
    """A layer, its optimizer and its tokens; the gradient of the tokens is computed, too."""

    def __init__(self, layer: keras.Model, optimizer: keras.Optimizer, tokens: Any) -> None:
        self._tokens = jnp.asarray(tokens)
        groups = (layer.trainable_variables, layer.non_trainable_variables, optimizer.variables)
        # Copies, since the steps write over what they are given.
        state = [[jnp.array(variable.value) for variable in group] for group in groups]
        self._state = (*state, jnp.zeros_like(self._tokens))
        gradients = jax.value_and_grad(partial(loss, layer), argnums=(0, 2), has_aux=True)

        def step(tokens: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            trainable, others, slots, _ = state
            (_, others), (of_weights, of_tokens) = gradients(trainable, others, tokens)
            trainable, slots = optimizer.stateless_apply(slots, of_weights, trainable)
            return trainable, others, slots, of_tokens

        def loop(count: Any, tokens: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            return jax.lax.fori_loop(0, count, lambda _, now: step(tokens, now), state)

        self._loop = jax.jit(loop, donate_argnums=2)

    def run(self, count: int) -> None:
        """Takes so many steps."""
        self._state = jax.block_until_ready(self._loop(count, self._tokens, self._state))

    def memory(self) -> int:
        """What the compiled steps reserve, their inputs and outputs apart."""
        compiled = self._loop.lower(1, self._tokens, self._state).compile()
        return compiled.memory_analysis().temp_size_in_bytes
