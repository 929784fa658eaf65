"""Small problems that tests share: nets in pure JAX, their losses and batches.

Parameters are nested dictionaries with Flax's names. A loss casts the parameters to
the dtype of its inputs, the compute dtype.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

PyTree = Any


class Batch(NamedTuple):
    """Images and what they show.

    Attributes:
        images: float [batch, height, width, channel], or [batch, feature].
        labels: int [batch].
    """

    images: Any
    labels: Any


def batches(
    seed: int, count: int, shape: Sequence[int], num_classes: int = 4
) -> list[Batch]:
    """Batches of normal noise in float64 NumPy; `shape` is that of the images."""
    rng = np.random.default_rng(seed)
    return [
        Batch(rng.normal(size=shape), rng.integers(num_classes, size=shape[0]))
        for _ in range(count)
    ]


def cast(tree: PyTree, dtype: Any) -> PyTree:
    """Casts the floating leaves of a tree, and makes all its leaves JAX arrays."""

    def cast_leaf(leaf):
        floating = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return jnp.asarray(leaf, dtype if floating else None)

    return jax.tree.map(cast_leaf, tree)


def conv_net(seed: int) -> tuple[PyTree, PyTree]:
    """Two convolutions with BatchNorm and biases, for 4 channels and 4 classes.

    Returns:
        Its parameters and its running BatchNorm statistics, in float64 NumPy.
    """
    normal = np.random.default_rng(seed).normal
    params = {
        "stem": {"kernel": 0.3 * normal(size=(3, 3, 4, 4)), "bias": normal(size=4)},
        "block": {"kernel": 0.2 * normal(size=(3, 3, 4, 4))},
        "norm": {"scale": 1 + 0.2 * normal(size=4), "bias": 0.2 * normal(size=4)},
        "head": {"kernel": normal(size=(4, 4)), "bias": 0.2 * normal(size=4)},
    }
    return params, {"mean": np.zeros(4), "var": np.ones(4)}


def conv_net_loss(
    params: PyTree, model_state: PyTree, batch: Batch
) -> tuple[jax.Array, PyTree]:
    """The mean cross-entropy of `conv_net` in training mode.

    Returns:
        The loss and the new running statistics.
    """
    params = cast(params, batch.images.dtype)
    x = _convolution(batch.images, params["stem"]["kernel"])
    x = x + params["stem"]["bias"][None, None, None]
    x = _convolution(jax.nn.relu(x), params["block"]["kernel"])
    x, model_state = _batch_norm(x, params["norm"], model_state)
    x = jnp.mean(jax.nn.relu(x), axis=(1, 2))
    logits = x @ params["head"]["kernel"] + params["head"]["bias"][None]
    return _cross_entropy(logits, batch.labels), model_state


def _convolution(x, kernel):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=dimensions
    )


def _batch_norm(x, params, running, decay=0.9):
    mean, var = jnp.mean(x, axis=(0, 1, 2)), jnp.var(x, axis=(0, 1, 2))
    slope = params["scale"] * lax.rsqrt(var + 1e-5)
    shift = params["bias"] - mean * slope
    running = jax.tree.map(
        lambda old, new: decay * old + (1 - decay) * new.astype(old.dtype),
        running,
        {"mean": mean, "var": var},
    )
    return x * slope[None, None, None] + shift[None, None, None], running


def mlp(seed: int, sizes: Sequence[int], *, use_bias: bool) -> PyTree:
    """The parameters of a ReLU net with one layer between successive sizes."""
    normal = np.random.default_rng(seed).normal
    params = {}
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        kernel = normal(size=(fan_in, fan_out)) * np.sqrt(2 / fan_in)
        bias = {"bias": 0.3 * normal(size=fan_out)} if use_bias else {}
        params[f"layer_{i}"] = {"kernel": kernel, **bias}
    return params


def mlp_loss(params: PyTree, batch: Batch) -> jax.Array:
    """The mean cross-entropy of `mlp`."""
    params = cast(params, batch.images.dtype)
    x = batch.images
    for i in range(len(params)):
        layer = params[f"layer_{i}"]
        x = (jax.nn.relu(x) if i else x) @ layer["kernel"]
        x = x + layer["bias"][None] if "bias" in layer else x
    return _cross_entropy(x, batch.labels)


def trained_mlp() -> tuple[PyTree, Batch, list[Batch]]:
    """A small net after 200 steps of gradient descent.

    Returns:
        Its parameters, its data, and the same data in three batches.
    """
    params = cast(mlp(0, (6, 16, 4), use_bias=False), "float32")
    (data,) = cast(batches(0, 1, (70, 6)), "float32")
    step = lambda i, w: jax.tree.map(
        lambda x, g: x - 0.3 * g, w, jax.grad(mlp_loss)(w, data)
    )
    params = jax.jit(lambda w: jax.lax.fori_loop(0, 200, step, w))(params)
    cut = lambda start, end: jax.tree.map(lambda x: x[start:end], data)
    return params, data, [cut(0, 32), cut(32, 64), cut(64, 70)]


def _cross_entropy(logits, labels):
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return jnp.mean(losses)
