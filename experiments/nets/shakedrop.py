"""ShakeDrop regularization (Yamada et al., 2019)."""

import jax
import jax.numpy as jnp
from flax import nnx


def shake_drop(key: jax.Array, x: jax.Array, survival: float) -> jax.Array:
    """Scales each example at random, and its gradient by another random factor.

    The factor is b + alpha - b * alpha forward and b + beta - b * beta backward, where
    b ~ Bernoulli(survival), alpha ~ U(-1, 1) and beta ~ U(0, 1) are drawn once an
    example. With b = 1 that is the identity. The forward factor's mean is `survival`.

    Args:
        key: A PRNG key.
        x: A residual branch, float [batch, ...].
        survival: The probability that b = 1.

    Returns:
        The scaled branch; shape and dtype of `x`.
    """
    shape = (len(x),) + (1,) * (x.ndim - 1)
    keep_key, alpha_key, beta_key = jax.random.split(key, 3)
    keep = jax.random.bernoulli(keep_key, survival, shape)
    alpha = jax.random.uniform(alpha_key, shape, x.dtype, -1, 1)
    beta = jax.random.uniform(beta_key, shape, x.dtype, 0, 1)
    forward = jnp.where(keep, x, alpha * x)
    backward = jnp.where(keep, x, beta * x)
    return backward + jax.lax.stop_gradient(forward - backward)


class ShakeDrop(nnx.Module):
    """`shake_drop` in training; its mean, `survival * x`, in evaluation."""

    def __init__(self, survival: float, *, rngs: nnx.Rngs):
        self.survival = float(survival)  # a NumPy scalar would promote bfloat16
        self.deterministic = False
        self.rngs = rngs.dropout.fork()

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps a residual branch `[batch, ...]` to its scaled copy."""
        if self.deterministic:
            return self.survival * x
        return shake_drop(self.rngs(), x, self.survival)
