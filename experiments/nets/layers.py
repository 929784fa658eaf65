"""Convolutions, linear layers and dropout as the nets use them."""

import jax
from flax import nnx

_he_fan_out = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")


def conv(
    in_features: int,
    features: int,
    kernel_size: int,
    *,
    strides: int = 1,
    groups: int = 1,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """Returns a square convolution without bias, He-initialized by fan-out.

    It pads every side by half the kernel. ("SAME" pads an even-sized image, where the
    convolution strides, at the bottom and the right alone.)
    """
    return nnx.Conv(
        in_features,
        features,
        (kernel_size, kernel_size),
        strides=strides,
        padding=kernel_size // 2,
        feature_group_count=groups,
        use_bias=False,
        kernel_init=_he_fan_out,
        rngs=rngs,
    )


def linear(in_features: int, features: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """Returns a linear layer, uniform on +-1 / sqrt(in_features) as in PyTorch."""
    bound = in_features**-0.5

    def init(key, shape, dtype):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return nnx.Linear(
        in_features, features, kernel_init=init, bias_init=init, rngs=rngs
    )


def xavier_linear(
    in_features: int, features: int, *, gain: float = 1.0, rngs: nnx.Rngs
) -> nnx.Linear:
    """Returns a linear layer with bias 0 and a kernel of Xavier's uniform distribution.

    The bound is gain * sqrt(6 / (in_features + features)).
    """
    init = nnx.initializers.variance_scaling(gain**2, "fan_avg", "uniform")
    return nnx.Linear(in_features, features, kernel_init=init, rngs=rngs)


def dropout_layer(rate: float, *, rngs: nnx.Rngs) -> nnx.Dropout:
    """Returns dropout, which at rate 0 has no random stream and needs no key."""
    return nnx.Dropout(rate, rngs=rngs if rate > 0 else None)
