"""A multilayer perceptron in plain JAX."""

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

Params: TypeAlias = Any
"""A list of layers, each a dictionary of `kernel` [in, out] and `bias` [out]."""


def init(rng: np.random.Generator, sizes: Sequence[int]) -> Params:
    """Draws kernels with variance 2 / in (He et al., 2015); biases are 0.

    Args:
        rng: Where the kernels come from.
        sizes: Units of the input, of each hidden layer and of the output.
    """

    def layer(num_in: int, num_out: int) -> dict[str, np.ndarray]:
        kernel = rng.normal(scale=np.sqrt(2 / num_in), size=(num_in, num_out))
        return {
            "kernel": kernel.astype(np.float32),
            "bias": np.zeros(num_out, np.float32),
        }

    return [layer(*shape) for shape in itertools.pairwise(sizes)]


def apply(params: Params, images: jax.typing.ArrayLike) -> jax.Array:
    """Returns the logits [batch, out] of images [batch, ...] through ReLU layers."""
    *hidden, last = params
    images = jnp.asarray(images)
    x = images.reshape(len(images), -1)
    for layer in hidden:
        x = jax.nn.relu(_dense(layer, x))
    return _dense(last, x)


def _dense(layer: Params, x: jax.Array) -> jax.Array:
    return x @ layer["kernel"] + layer["bias"][None]
