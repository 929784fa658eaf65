"""The norm of the scaled gradient, whatever the size of the gradients."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from ._cpu import on_cpu, unshared
from ._typing import PyTree


def scaled_norm(
    scales_at: Callable[[PyTree], list[jax.Array]],
    params: PyTree,
    grads: list[jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """A power of two s, and ``||T (s g)||_2`` over all leaves.

    s is 1 where the norm of T g is right. Where squares overflowed, or so many may have
    underflowed that they count, s brings the gradients of any size to one at which they
    do neither, and the norm is taken again. Accelerators take it again always, since a
    branch would stop the host.

    Args:
        scales_at: Parameters to the diagonal of T for each gradient.
        params: The parameters.
        grads: The gradients g of those that are perturbed, in float32 at least.

    Returns:
        s and the norm, which is 0 where gradients are not finite, or T so extreme that
        this norm is not right either.
    """
    # What a norm shares with the other, or with the step, XLA on CPU would write out.
    norm = _norm(scales_at(unshared(params)), grads)
    limits = jnp.finfo(norm.dtype)
    # Beside a square of tiny^(2/3), 2^42 times what underflows, the lost ones are none.
    least = float(limits.tiny) ** (1 / 3)
    up = 2.0 ** (limits.maxexp * 3 // 4)

    def is_right(norm):
        return (norm > least) & (norm < jnp.inf)

    other = jnp.where(norm < 1, up, 1 / up)
    unit = jnp.where(is_right(norm), 1, other).astype(norm.dtype)

    def norm_again():
        other_params, units = unshared((params, [unit] * len(grads)))
        scaled_grads = [g * s for g, s in zip(grads, units, strict=True)]
        return _norm(scales_at(other_params), scaled_grads)

    def norm_again_unless_right():
        return lax.cond(is_right(norm), lambda: norm, norm_again)

    norm_of_scaled = on_cpu(norm_again_unless_right, norm_again)
    return unit, jnp.where(is_right(norm_of_scaled), norm_of_scaled, 0)


def _norm(scales: list[jax.Array], grads: list[jax.Array]) -> jax.Array:
    scaled = [scale * grad for scale, grad in zip(scales, grads, strict=True)]
    dtype = jnp.finfo(jnp.result_type(*scaled)).dtype  # one range for all leaves
    squares = [_sum_of_squares(x, dtype) for x in scaled]
    return jnp.sqrt(functools.reduce(jnp.add, squares))


def _sum_of_squares(x: jax.Array, dtype: jnp.dtype) -> jax.Array:
    x = x.astype(jnp.promote_types(x.dtype, dtype))
    return jnp.sum(jnp.real(x * jnp.conj(x)))
