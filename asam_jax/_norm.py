"""The norm of the scaled gradient, whatever the size of the gradients."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from ._axis import vary_alike
from ._cpu import in_cpu_program, unshared
from ._typing import PyTree


def rescaled_norm(
    scales_at: Callable[[PyTree], list[jax.Array]],
    params: PyTree,
    grads: list[jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """A power of two r, and ``||r T (r g)||_2`` over all leaves.

    r is 1 where the sum of squares is right as it is. Where it overflowed, or has lost
    what counts to underflow, r brings T g of any size to one at which it does neither,
    and the sum is taken again. Programs for a CPU do so in a branch. All others take
    it again always: on a GPU a branch would wait for the host.

    Args:
        scales_at: Parameters to the diagonal of T for each gradient.
        params: The parameters.
        grads: The gradients g of those that are perturbed, in float32 at least.

    Returns:
        r, and the norm; infinity where there is none, since all gradients are zero or
        one is not finite, or where T is so extreme that this sum is not right either.
    """
    params, grads = vary_alike((params, grads))
    # What a sum shares with the other, or with the step, XLA on CPU would write out.
    plain = _total(_squares(scales_at(unshared(params)), grads))
    limits = jnp.finfo(plain.dtype)
    least = float(limits.tiny) ** (2 / 3)

    def is_right(total):
        # n squares below tiny change it by n * tiny^(1/3) at most: n / 4e12 in float32.
        return (total > least) & (total < jnp.inf)

    large = 2.0 ** (limits.maxexp * 3 // 8)
    rescale = jnp.where(plain < 1, large, 1 / large)
    r = jnp.where(is_right(plain), 1, rescale).astype(plain.dtype)

    def again():
        other_params, each_r = unshared((params, [r] * len(grads)))
        return _squares(scales_at(other_params), grads, each_r)

    def again_unless_right():
        return lax.cond(
            is_right(plain), lambda: plain, lambda: _total(_merged(again()))
        )

    total = in_cpu_program(again_unless_right, otherwise=lambda: _total(again()))
    exists = is_right(total)
    return r, jnp.where(exists, jnp.sqrt(jnp.where(exists, total, 1)), jnp.inf)


def _squares(
    scales: list[jax.Array], grads: list[jax.Array], each_r: list | None = None
) -> list[jax.Array]:
    """``|r T (r g)|^2`` in the widest dtype of all: one range for all leaves."""
    dtype = jnp.finfo(jnp.result_type(*scales, *grads)).dtype

    def of_leaf(scale, grad, r):
        grad = grad.astype(jnp.promote_types(grad.dtype, dtype))
        x = scale * grad if r is None else r * (scale * (r * grad))
        return jnp.real(x * jnp.conj(x))

    return [*map(of_leaf, scales, grads, each_r or [None] * len(grads))]


def _merged(squares: list[jax.Array]) -> list[jax.Array]:
    """Leaves of one type, added: a reduction for each type instead of each leaf.

    XLA's runtime on CPU allocates for every reduction of a program, run or not.
    """
    merged: dict[object, jax.Array] = {}
    for square in squares:
        kind = jax.typeof(square)
        merged[kind] = merged[kind] + square if kind in merged else square
    return [*merged.values()]


def _total(squares: list[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, map(jnp.sum, squares))
