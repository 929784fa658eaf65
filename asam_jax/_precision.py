"""The precision of the ascent: float32 at least, whatever the parameters' dtype."""

import jax
import jax.numpy as jnp

from ._typing import PyTree


def at_least_float32(leaf: jax.typing.ArrayLike) -> jax.Array:
    """Casts a floating or complex leaf up to 32-bit precision; keeps all others.

    A perturbation is small against the weight that it is added to. In bfloat16
    ``1 + 0.003`` is ``1``: the step of the ascent would vanish. In float16 the
    squares in a norm overflow above 256.
    """
    leaf = jnp.asarray(leaf)
    is_low = (
        jnp.issubdtype(leaf.dtype, jnp.floating) and jnp.finfo(leaf.dtype).bits < 32
    )
    return leaf.astype(jnp.float32) if is_low else leaf


def cast_like(tree: PyTree, like: PyTree) -> PyTree:
    """Casts each leaf of `tree` to the dtype of its counterpart in `like`."""
    return jax.tree.map(
        lambda leaf, other: jnp.asarray(leaf).astype(jnp.result_type(other)), tree, like
    )
