"""ResNet for CIFAR (He et al., 2016) with projection shortcuts."""

import jax
from flax import nnx

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import Net, functional
from experiments.nets.layers import conv, linear
from experiments.nets.residual import projection_shortcut, stages


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions beside a shortcut: ReLU(shortcut(x) + branch(x))."""

    def __init__(
        self, in_features: int, features: int, *, strides: int, rngs: nnx.Rngs
    ):
        self.conv1 = conv(in_features, features, 3, strides=strides, rngs=rngs)
        self.norm1 = BatchNorm(features)
        self.conv2 = conv(features, features, 3, rngs=rngs)
        self.norm2 = BatchNorm(features)
        self.shortcut = projection_shortcut(
            in_features, features, strides=strides, rngs=rngs
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[batch, height, width, in_features]` to `features` channels."""
        branch = nnx.relu(self.norm1(self.conv1(x)))
        branch = self.norm2(self.conv2(branch))
        return nnx.relu(self.shortcut(x) + branch)


class ResNet(nnx.Module):
    """Three stages of 16, 32 and 64 channels, of (depth - 2) / 6 blocks each."""

    def __init__(self, depth: int, num_classes: int, *, rngs: nnx.Rngs):
        if (depth - 2) % 6:
            raise ValueError(f"depth must be 6n + 2, got {depth}")
        self.conv = conv(3, 16, 3, rngs=rngs)
        self.norm = BatchNorm(16)
        self.blocks = stages(
            BasicBlock, 16, (16, 32, 64), [(depth - 2) // 6] * 3, rngs=rngs
        )
        self.head = linear(64, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[batch, height, width, 3]` to logits."""
        x = nnx.relu(self.norm(self.conv(x)))
        x = self.blocks(x)
        return self.head(x.mean((1, 2)))


def resnet(depth: int, num_classes: int) -> Net:
    """Builds ResNet-`depth` for images of about 32x32 pixels.

    The depth is 6n + 2.
    """
    return functional(lambda rngs: ResNet(depth, num_classes, rngs=rngs))
