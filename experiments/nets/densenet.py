"""DenseNet-BC (Huang et al., 2017) with a CIFAR stem."""

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import Net, functional
from experiments.nets.layers import conv, linear


class DenseLayer(nnx.Module):
    """Appends `growth` channels to its input."""

    def __init__(self, in_features: int, growth: int, *, rngs: nnx.Rngs):
        self.norm1 = BatchNorm(in_features)
        self.conv1 = conv(in_features, 4 * growth, 1, rngs=rngs)
        self.norm2 = BatchNorm(4 * growth)
        self.conv2 = conv(4 * growth, growth, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[batch, height, width, in_features]` to `growth` channels more."""
        new = self.conv1(nnx.relu(self.norm1(x)))
        new = self.conv2(nnx.relu(self.norm2(new)))
        return jnp.concatenate([x, new], axis=-1)


class Transition(nnx.Module):
    """Halves channels and resolution."""

    def __init__(self, in_features: int, *, rngs: nnx.Rngs):
        self.norm = BatchNorm(in_features)
        self.conv = conv(in_features, in_features // 2, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[batch, height, width, in_features]` to half the last three sizes."""
        x = self.conv(nnx.relu(self.norm(x)))
        return nnx.avg_pool(x, (2, 2), strides=(2, 2))


class DenseNet121(nnx.Module):
    """Dense blocks of 6, 12, 24 and 16 layers with growth 32, joined by transitions."""

    def __init__(self, num_classes: int, *, rngs: nnx.Rngs):
        growth = 32
        features = 2 * growth
        layers = []
        for block, depth in enumerate((6, 12, 24, 16)):
            if block > 0:
                layers.append(Transition(features, rngs=rngs))
                features //= 2
            for _ in range(depth):
                layers.append(DenseLayer(features, growth, rngs=rngs))
                features += growth
        self.conv = conv(3, 2 * growth, 3, rngs=rngs)
        self.features = nnx.Sequential(*layers)
        self.norm = BatchNorm(features)
        self.head = linear(features, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[batch, height, width, 3]` to logits."""
        x = self.features(self.conv(x))
        x = nnx.relu(self.norm(x))
        return self.head(x.mean((1, 2)))


def densenet121(num_classes: int) -> Net:
    """Builds DenseNet-121 for images of about 32x32 pixels, at least 8x8."""
    return functional(lambda rngs: DenseNet121(num_classes, rngs=rngs))
