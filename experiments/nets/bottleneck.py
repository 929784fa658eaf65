"""The bottleneck block of ResNet-50 and, with groups, of ResNeXt."""

import jax
from flax import nnx

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.layers import conv
from experiments.nets.residual import projection_shortcut


class Bottleneck(nnx.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut.

    Args:
        in_features: Channels of the input.
        features: Channels of the output.
        strides: Strides of the 3x3 convolution and the shortcut.
        reduction: The 3x3 convolution has `features // reduction` channels.
        groups: Groups of the 3x3 convolution.
        rngs: Draws the parameters.
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        strides: int,
        reduction: int,
        groups: int,
        rngs: nnx.Rngs,
    ):
        inner = features // reduction
        self.conv1 = conv(in_features, inner, 1, rngs=rngs)
        self.norm1 = BatchNorm(inner)
        self.conv2 = conv(inner, inner, 3, strides=strides, groups=groups, rngs=rngs)
        self.norm2 = BatchNorm(inner)
        self.conv3 = conv(inner, features, 1, rngs=rngs)
        self.norm3 = BatchNorm(features)
        self.shortcut = projection_shortcut(
            in_features, features, strides=strides, rngs=rngs
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[batch, height, width, in_features]` to `features` channels."""
        branch = nnx.relu(self.norm1(self.conv1(x)))
        branch = nnx.relu(self.norm2(self.conv2(branch)))
        branch = self.norm3(self.conv3(branch))
        return nnx.relu(self.shortcut(x) + branch)
