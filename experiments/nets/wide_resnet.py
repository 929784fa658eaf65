"""Wide ResNet (Zagoruyko & Komodakis, 2016), without dropout."""

import jax
from flax import nnx

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import Net, functional
from experiments.nets.layers import conv, linear
from experiments.nets.residual import stages


class PreactivationBlock(nnx.Module):
    """Twice BN-ReLU-convolution beside a shortcut.

    Where the width changes, the shortcut is a bare 1x1 convolution. It takes the input
    itself, as in the code that the ASAM paper ran; in the original Wide ResNet it takes
    the input after the first BN-ReLU.
    """

    def __init__(
        self, in_features: int, features: int, *, strides: int, rngs: nnx.Rngs
    ):
        self.norm1 = BatchNorm(in_features)
        self.conv1 = conv(in_features, features, 3, strides=strides, rngs=rngs)
        self.norm2 = BatchNorm(features)
        self.conv2 = conv(features, features, 3, rngs=rngs)
        self.shortcut = (
            nnx.identity
            if in_features == features
            else conv(in_features, features, 1, strides=strides, rngs=rngs)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[batch, height, width, in_features]` to `features` channels."""
        branch = self.conv1(nnx.relu(self.norm1(x)))
        branch = self.conv2(nnx.relu(self.norm2(branch)))
        return self.shortcut(x) + branch


class WideResNet(nnx.Module):
    """Three stages of 16, 32 and 64 times `widening` channels."""

    def __init__(self, depth: int, widening: int, num_classes: int, *, rngs: nnx.Rngs):
        if (depth - 4) % 6:
            raise ValueError(f"depth must be 6n + 4, got {depth}")
        widths = [16 * widening, 32 * widening, 64 * widening]
        self.conv = conv(3, 16, 3, rngs=rngs)
        self.blocks = stages(
            PreactivationBlock, 16, widths, [(depth - 4) // 6] * 3, rngs=rngs
        )
        self.norm = BatchNorm(widths[-1])
        self.head = linear(widths[-1], num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[batch, height, width, 3]` to logits."""
        x = self.blocks(self.conv(x))
        x = nnx.relu(self.norm(x))
        return self.head(x.mean((1, 2)))


def wide_resnet(depth: int, widening: int, num_classes: int) -> Net:
    """Builds WRN-`depth`-`widening` for images of about 32x32 pixels.

    The depth is 6n + 4.
    """
    return functional(lambda rngs: WideResNet(depth, widening, num_classes, rngs=rngs))
