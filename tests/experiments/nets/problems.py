"""Inputs, and parameters that leave no layer at its initial value."""

import jax
import numpy as np

from experiments.nets.functional import Net
from experiments.nets.transformer import TransformerNet


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=shape).astype(np.float32)


def variables(net: Net | TransformerNet, seed: int = 0):
    """Draws `(params, model_state)` in NumPy: XLA is slow to compile initializers.

    Every kernel keeps the scale of its input; scales and statistics are about 1.
    """
    rng = np.random.default_rng(seed)

    def draw(leaf):
        if leaf.ndim == 1:
            value = rng.uniform(0.5, 1.5, leaf.shape)
        else:
            value = rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))
        return value.astype(leaf.dtype)

    return jax.tree.map(draw, jax.eval_shape(net.init, jax.random.key(0)))


def apply(net: Net | TransformerNet, *args, train: bool):
    """Calls `net.apply(params, model_state, x, train, [key])` under jit."""
    params, model_state, x, *key = args
    return jax.jit(net.apply, static_argnums=3)(params, model_state, x, train, *key)
