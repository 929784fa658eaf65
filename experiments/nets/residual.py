"""Stages and shortcuts, which the residual nets have in common."""

from collections.abc import Callable, Sequence

import jax
from flax import nnx

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.layers import conv


def stages(
    block: Callable[..., nnx.Module],
    in_features: int,
    widths: Sequence[int],
    depths: Sequence[int],
    *,
    rngs: nnx.Rngs,
) -> nnx.Sequential:
    """Stacks residual blocks in stages, each of one width and one resolution.

    Args:
        block: Builds a block: `block(in_features, features, strides=..., rngs=...)`.
        in_features: Channels of the input.
        widths: Output channels of the blocks of each stage.
        depths: Number of blocks of each stage.
        rngs: Draws the parameters.

    Returns:
        The blocks in a row. The first of each stage but the first has strides 2, all
        others have strides 1.
    """
    blocks = []
    for stage, (features, depth) in enumerate(zip(widths, depths, strict=True)):
        for index in range(depth):
            strides = 2 if stage > 0 and index == 0 else 1
            blocks.append(block(in_features, features, strides=strides, rngs=rngs))
            in_features = features
    return nnx.Sequential(*blocks)


def projection_shortcut(
    in_features: int, features: int, *, strides: int, rngs: nnx.Rngs
) -> Callable[[jax.Array], jax.Array]:
    """Returns the identity if the shape stays, else a 1x1 convolution and BatchNorm."""
    if strides == 1 and in_features == features:
        return nnx.identity
    return nnx.Sequential(
        conv(in_features, features, 1, strides=strides, rngs=rngs),
        BatchNorm(features),
    )
