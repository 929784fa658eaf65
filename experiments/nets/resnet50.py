"""ResNet-50 for ImageNet (He et al., 2016)."""

from functools import partial

import jax
from flax import nnx

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.bottleneck import Bottleneck
from experiments.nets.functional import Net, functional
from experiments.nets.layers import conv, linear
from experiments.nets.residual import stages


class ResNet50(nnx.Module):
    """Bottlenecks that stride in the 3x3 convolution ("v1.5"), as torchvision's do."""

    def __init__(self, num_classes: int, *, rngs: nnx.Rngs):
        block = partial(Bottleneck, reduction=4, groups=1)
        self.conv = conv(3, 64, 7, strides=2, rngs=rngs)
        self.norm = BatchNorm(64)
        self.blocks = stages(block, 64, (256, 512, 1024, 2048), (3, 4, 6, 3), rngs=rngs)
        self.head = linear(2048, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[batch, height, width, 3]` to logits."""
        x = nnx.relu(self.norm(self.conv(x)))
        x = nnx.max_pool(
            x,
            (3, 3),
            strides=(2, 2),
            padding=((1, 1), (1, 1)),  # pyright: ignore[reportArgumentType]
        )
        x = self.blocks(x)
        return self.head(x.mean((1, 2)))


def resnet50(num_classes: int) -> Net:
    """Builds ResNet-50 for images of about 224x224 pixels."""
    return functional(lambda rngs: ResNet50(num_classes, rngs=rngs))
