"""Batch normalization (Ioffe & Szegedy, 2015)."""

import jax
import jax.numpy as jnp
from flax import nnx


class BatchNorm(nnx.Module):
    """Normalizes each channel over batch and space, with epsilon 1e-5.

    `running = 0.9 * running + 0.1 * batch` for mean and variance. As in Flax, the
    running variance averages the biased variance of the batches. PyTorch averages the
    unbiased one, n / (n - 1) times as large for n = batch * height * width.

    Two differences from `nnx.BatchNorm`: float32 statistics do not promote a bfloat16
    input and, with it, the rest of the net; and statistics are set without comparing
    shardings, which on tracers walks the whole program so far. PyramidNet-272 then
    takes seconds to trace instead of minutes.
    """

    def __init__(self, num_features: int):
        self.scale = nnx.Param(jnp.ones(num_features))
        self.bias = nnx.Param(jnp.zeros(num_features))
        self.mean = nnx.BatchStat(jnp.zeros(num_features))
        self.var = nnx.BatchStat(jnp.ones(num_features))
        self.use_running_average = False

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalizes `[..., channel]`, in float32 at least."""
        scale, bias = self.scale[...], self.bias[...]
        dtype = jnp.result_type(x, scale, bias)
        axes = tuple(range(x.ndim - 1))
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if self.use_running_average:
            x -= jnp.expand_dims(self.mean[...], axes)
            var = self.var[...]
        else:
            mean = x.mean(axes)
            x -= jnp.expand_dims(mean, axes)
            var = jnp.square(x).mean(axes)
            self.mean.set_value(0.9 * self.mean[...] + 0.1 * mean)
            self.var.set_value(0.9 * self.var[...] + 0.1 * var)
        x *= jnp.expand_dims(scale * jax.lax.rsqrt(var + 1e-5), axes)
        return (x + jnp.expand_dims(bias, axes)).astype(dtype)
