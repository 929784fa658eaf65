"""Nets whose dropout rate is an argument, so that nets of all rates are one program."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

Params: TypeAlias = Any
"""A list of layers, each a dictionary of `kernel` [..., in, out] and `bias` [out]."""


class Dropout(NamedTuple):
    """What training zeroes.

    Attributes:
        key: The random key of the step.
        rate: The probability of each hidden unit, in [0, 1); may be traced.
    """

    key: jax.Array
    rate: jax.typing.ArrayLike


class Net(NamedTuple):
    """A net as two pure functions.

    Attributes:
        init: Random key to parameters.
        apply: ``apply(params, images, dropout)`` to logits [batch, class] of images
            [batch, height, width, channel]; without dropout where that is None.
    """

    init: Callable[[jax.Array], Params]
    apply: Callable[[Params, jax.Array, Dropout | None], jax.Array]


def mlp(num_inputs: int, widths: Sequence[int], num_classes: int) -> Net:
    """Builds a multilayer perceptron: dense, ReLU, dropout for each hidden layer."""
    sizes = (num_inputs, *widths, num_classes)
    return Net(functools.partial(_init, [*itertools.pairwise(sizes)]), _apply_mlp)


def conv_net(num_channels: int, widths: Sequence[int], num_classes: int) -> Net:
    """Builds a convolutional net without normalization.

    Each block is a 3x3 convolution, ReLU, the mean of 2x2 pixels and dropout; the head
    is dense on the mean over the pixels that are left.
    """
    channels = itertools.pairwise((num_channels, *widths))
    shapes = [*((3, 3, *pair) for pair in channels), (widths[-1], num_classes)]
    return Net(functools.partial(_init, shapes), _apply_conv_net)


def _init(shapes: Sequence[tuple[int, ...]], key: jax.Array) -> Params:
    """Draws kernels with variance 2 / fan-in (He et al., 2015); biases are 0."""
    draw = jax.nn.initializers.he_normal()
    keys = jax.random.split(key, len(shapes))
    return [
        {"kernel": draw(key, shape, jnp.float32), "bias": jnp.zeros(shape[-1])}
        for key, shape in zip(keys, shapes, strict=True)
    ]


def _apply_mlp(params: Params, images: jax.Array, dropout: Dropout | None) -> jax.Array:
    *hidden, head = params
    x = images.reshape(len(images), -1)
    for i, layer in enumerate(hidden):
        x = _drop(dropout, i, jax.nn.relu(_dense(layer, x)))
    return _dense(head, x)


def _apply_conv_net(
    params: Params, images: jax.Array, dropout: Dropout | None
) -> jax.Array:
    *blocks, head = params
    x = images
    for i, block in enumerate(blocks):
        x = _drop(dropout, i, _halved(jax.nn.relu(_conv(block, x))))
    return _dense(head, jnp.mean(x, axis=(1, 2)))


def _dense(layer: Params, x: jax.Array) -> jax.Array:
    return x @ layer["kernel"] + layer["bias"][None]


def _conv(layer: Params, x: jax.Array) -> jax.Array:
    convolved = jax.lax.conv_general_dilated(
        x, layer["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return convolved + layer["bias"][None, None, None]


def _halved(x: jax.Array) -> jax.Array:
    window = (1, 2, 2, 1)
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, window, "VALID") / 4


def _drop(dropout: Dropout | None, layer: int, x: jax.Array) -> jax.Array:
    if dropout is None:
        return x
    kept_share = 1 - dropout.rate
    key = jax.random.fold_in(dropout.key, layer)
    kept = jax.random.bernoulli(key, kept_share, x.shape)
    return jnp.where(kept, x / kept_share, 0)
