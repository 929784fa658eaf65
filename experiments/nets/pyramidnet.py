"""PyramidNet (Han et al., 2017) of bottlenecks with ShakeDrop."""

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import Net, functional
from experiments.nets.layers import conv, linear
from experiments.nets.shakedrop import ShakeDrop


class PyramidBlock(nnx.Module):
    """BN-conv1x1-BN-ReLU-conv3x3-BN-ReLU-conv1x1-BN-ShakeDrop beside a shortcut.

    The shortcut has no parameters. It pools by the average where the block strides, and
    fills the channels that the block adds with zeros.
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        strides: int,
        survival: float,
        rngs: nnx.Rngs,
    ):
        inner = features // 4
        self.norm1 = BatchNorm(in_features)
        self.conv1 = conv(in_features, inner, 1, rngs=rngs)
        self.norm2 = BatchNorm(inner)
        self.conv2 = conv(inner, inner, 3, strides=strides, rngs=rngs)
        self.norm3 = BatchNorm(inner)
        self.conv3 = conv(inner, features, 1, rngs=rngs)
        self.norm4 = BatchNorm(features)
        self.shake_drop = ShakeDrop(survival, rngs=rngs)
        self.strides = strides
        self.added_features = features - in_features

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[batch, height, width, in_features]` to `features` channels."""
        branch = self.conv1(self.norm1(x))
        branch = self.conv2(nnx.relu(self.norm2(branch)))
        branch = self.conv3(nnx.relu(self.norm3(branch)))
        branch = self.shake_drop(self.norm4(branch))
        return self._shortcut(x) + branch

    def _shortcut(self, x: jax.Array) -> jax.Array:
        if self.strides > 1:
            window = (self.strides, self.strides)
            pooled = nnx.avg_pool(
                x, window, window, padding="SAME", count_include_pad=False
            )
            x = pooled.astype(x.dtype)  # its division by the counts is in float32
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.added_features)))


class PyramidNet(nnx.Module):
    """Three stages of (depth - 2) / 9 blocks that widen by `alpha` channels in all.

    Of L blocks, block l = 1, ..., L has 16 + alpha * l / L inner channels, rounded, and
    four times as many outer ones. It survives ShakeDrop with probability 1 - l / (2L),
    the linear decay from 1 to 1/2.
    """

    def __init__(self, depth: int, alpha: float, num_classes: int, *, rngs: nnx.Rngs):
        if (depth - 2) % 9:
            raise ValueError(f"depth must be 9n + 2, got {depth}")
        per_stage = (depth - 2) // 9
        num_blocks = 3 * per_stage
        features = 16
        self.conv = conv(3, features, 3, rngs=rngs)
        self.norm1 = BatchNorm(features)
        blocks = []
        for index in range(num_blocks):
            share = (index + 1) / num_blocks
            in_features, features = features, 4 * round(16 + alpha * share)
            strides = 2 if index in (per_stage, 2 * per_stage) else 1
            blocks.append(
                PyramidBlock(
                    in_features,
                    features,
                    strides=strides,
                    survival=1 - share / 2,
                    rngs=rngs,
                )
            )
        self.blocks = nnx.Sequential(*blocks)
        self.norm2 = BatchNorm(features)
        self.head = linear(features, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[batch, height, width, 3]` to logits."""
        x = self.blocks(self.norm1(self.conv(x)))
        x = nnx.relu(self.norm2(x))
        return self.head(x.mean((1, 2)))


def pyramidnet(depth: int, alpha: float, num_classes: int) -> Net:
    """Builds PyramidNet-`depth` for images of about 32x32 pixels.

    The depth is 9n + 2, and `alpha` the widening: see `PyramidNet`.
    """
    return functional(lambda rngs: PyramidNet(depth, alpha, num_classes, rngs=rngs))
