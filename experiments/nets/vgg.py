"""VGG-19 with BatchNorm for CIFAR (Simonyan & Zisserman, 2015)."""

import jax
from flax import nnx

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import Net, functional
from experiments.nets.layers import conv, linear


class VGG19(nnx.Module):
    """Sixteen 3x3 convolutions with BatchNorm, and one linear layer on 512 features."""

    def __init__(self, num_classes: int, *, rngs: nnx.Rngs):
        layers = []
        in_features = 3
        for features, depth in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
            for _ in range(depth):
                layers += [
                    conv(in_features, features, 3, rngs=rngs),
                    BatchNorm(features),
                    nnx.relu,
                ]
                in_features = features
            layers.append(_max_pool)
        self.features = nnx.Sequential(*layers)
        self.head = linear(in_features, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[batch, height, width, 3]` to logits."""
        return self.head(self.features(x).mean((1, 2)))


def _max_pool(x: jax.Array) -> jax.Array:
    # "SAME" leaves a pixel of an image that is smaller than 32x32.
    return nnx.max_pool(x, (2, 2), strides=(2, 2), padding="SAME")


def vgg19_bn(num_classes: int) -> Net:
    """Builds VGG19-BN for images of about 32x32 pixels."""
    return functional(lambda rngs: VGG19(num_classes, rngs=rngs))
