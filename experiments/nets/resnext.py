"""ResNeXt for CIFAR (Xie et al., 2017): bottlenecks of grouped convolutions."""

from functools import partial

import jax
from flax import nnx

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.bottleneck import Bottleneck
from experiments.nets.functional import Net, functional
from experiments.nets.layers import conv, linear
from experiments.nets.residual import stages


class ResNeXt29(nnx.Module):
    """Bottlenecks with 32 groups, in the first stage of 4 channels each."""

    def __init__(self, num_classes: int, *, rngs: nnx.Rngs):
        block = partial(Bottleneck, reduction=2, groups=32)
        self.conv = conv(3, 64, 3, rngs=rngs)
        self.norm = BatchNorm(64)
        self.blocks = stages(block, 64, (256, 512, 1024), (3, 3, 3), rngs=rngs)
        self.head = linear(1024, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[batch, height, width, 3]` to logits."""
        x = nnx.relu(self.norm(self.conv(x)))
        x = self.blocks(x)
        return self.head(x.mean((1, 2)))


def resnext29_32x4d(num_classes: int) -> Net:
    """Builds ResNeXt29-32x4d for images of about 32x32 pixels."""
    return functional(lambda rngs: ResNeXt29(num_classes, rngs=rngs))
