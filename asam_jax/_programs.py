"""A loss over one batch and its derivatives, compiled."""

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ._selection import combine
from ._typing import PyTree


class Programs(NamedTuple):
    """A loss over one batch and its derivatives, compiled at their first use.

    Attributes:
        loss: ``(params, fixed, arguments)`` to the loss.
        loss_traced_anew: The same, traced by itself: a loss that draws numbers as it
            is traced gives another value.
        add_grads: ``(total, count, params, fixed, arguments)`` to the loss, and the
            total with its gradient times the count. The total is donated.
        add_product: ``(total, count, params, vector, fixed, arguments)`` to the total
            with the product of Hessian and vector, times the count.
    """

    loss: Callable[..., jax.Array]
    loss_traced_anew: Callable[..., jax.Array]
    add_grads: Callable[..., tuple[jax.Array, PyTree]]
    add_product: Callable[..., PyTree]


_COMPILED: weakref.WeakKeyDictionary[Any, Programs] = weakref.WeakKeyDictionary()
"""The programs of a loss function live as long as it does."""


def programs_of(loss_fn: Callable[..., jax.Array]) -> Programs:
    """Returns the programs of a loss, the same at each call for the same function."""
    try:
        known = _COMPILED.get(loss_fn)
    except TypeError:  # not hashable, or without weak references: compiled each time
        return _make_programs(lambda: loss_fn)
    if known is None:
        known = _COMPILED[loss_fn] = _make_programs(weakref.ref(loss_fn))
    return known


def _make_programs(get_loss_fn: Callable[[], Any]) -> Programs:
    def loss(params, fixed, arguments):
        return _checked(get_loss_fn()(combine(params, fixed), *arguments))

    def loss_traced_anew(params, fixed, arguments):
        return loss(params, fixed, arguments)

    def add_grads(total, count, params, fixed, arguments):
        value, grads = jax.value_and_grad(loss)(params, fixed, arguments)
        return value, jax.tree.map(lambda x, g: x + count * g, total, grads)

    def add_product(total, count, params, vector, fixed, arguments):
        grad_fn = lambda w: jax.grad(loss)(w, fixed, arguments)
        _, product = jax.jvp(grad_fn, (params,), (vector,))
        return jax.tree.map(lambda x, h: x + count * h, total, product)

    return Programs(
        jax.jit(loss),
        jax.jit(loss_traced_anew),
        jax.jit(add_grads, donate_argnums=0),
        jax.jit(add_product, donate_argnums=0),
    )


def _checked(loss: Any) -> jax.Array:
    if not isinstance(loss, jax.Array) or loss.shape != ():
        raise ValueError(
            "loss_fn must return one number, the mean over its batch, without aux; it "
            f"returned {jax.tree.map(jnp.shape, loss)}."
        )
    if loss.dtype not in (jnp.float32, jnp.float64):
        raise ValueError(
            f"loss_fn must return float32 or float64, not {loss.dtype}: in fewer bits "
            "the difference of two losses is lost. Cast the logits to float32 before "
            "the loss."
        )
    return loss
