"""The sharpness-aware gradient: one step of ascent, then the gradient there."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from ._perturbation import perturbation
from ._precision import at_least_float32, cast_like
from ._typing import GradFn, Normalization, PyTree, Where
from ._validation import check_like

Climb: TypeAlias = Callable[[PyTree, PyTree], PyTree]
"""Parameters w and the direction that is climbed to w + eps."""


def ascend(
    params: PyTree,
    source: PyTree,
    *,
    rho: jax.typing.ArrayLike,
    normalization: Normalization,
    p: float,
    mask: Where | None,
) -> PyTree:
    """Returns w + eps, in float32 at least; `source` is the direction climbed."""
    eps = perturbation(params, source, rho, normalization=normalization, p=p, mask=mask)
    return jax.tree.map(_moved, jax.tree.map(at_least_float32, params), eps)


def _moved(w: jax.Array, eps: jax.Array) -> jax.Array:
    return w + eps if jnp.issubdtype(w.dtype, jnp.inexact) else w


def gradient_at_worst(
    grad_fn: GradFn, climb: Climb, params: PyTree, grads: PyTree
) -> PyTree:
    """The gradient at w + eps, where eps is the perturbation that `grads` gives.

    Args:
        grad_fn: Parameters, in float32 at least, to gradients.
        climb: The step of ascent.
        params: The parameters w.
        grads: The gradients that are climbed, like `params`.

    Returns:
        What `grad_fn` returns at w + eps, in the dtypes of `grads`.
    """
    perturbed = climb(params, grads)
    try:
        ascended = grad_fn(perturbed)
    except Exception as error:
        error.add_note(
            "asam_jax called grad_fn with w + eps, in float32 at least, a tree like "
            f"the params given: {jax.tree.structure(perturbed)}. If these are not your "
            "parameters, a wrapper such as optax.flatten has changed them: put it "
            "after the ascent, optax.chain(asam_jax.asam(rho), optax.flatten(...))."
        )
        raise
    check_like("grad_fn(params)", ascended, params)
    return cast_like(ascended, grads)
