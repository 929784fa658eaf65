"""For Flax Linen: gradients through `flax.training.train_state.TrainState`."""

import functools
from typing import Any, TypeVar

import optax
from flax.training.train_state import TrainState

from ._typing import GradFn, PyTree

State = TypeVar("State", bound=TrainState)


def apply_gradients(
    state: State, *, grads: PyTree, grad_fn: GradFn, **replaced: Any
) -> State:
    """``state.apply_gradients`` that hands `grad_fn` on to the optimizer.

    Flax's own method takes every keyword for an attribute to replace, so ``grad_fn``
    would never reach the ascent.

    Args:
        state: A `TrainState`, or a subclass with more attributes.
        grads: The gradients at ``state.params``.
        grad_fn: Parameters to gradients, for the same batch and the same random keys,
            with BatchNorm statistics discarded: those of the clean pass are the ones to
            keep.
        **replaced: Attributes to replace, such as ``batch_stats``.

    Returns:
        The state after one step.

    Example:
        >>> import asam_jax, asam_jax.linen, flax.linen as nn, jax, jax.numpy as jnp
        >>> import optax
        >>> model, x = nn.Dense(1), jnp.ones((2, 3))
        >>> loss_fn = lambda params: jnp.mean(model.apply({"params": params}, x) ** 2)
        >>> state = TrainState.create(
        ...     apply_fn=model.apply, params=model.init(jax.random.key(0), x)["params"],
        ...     tx=optax.chain(asam_jax.asam(rho=0.5), optax.sgd(0.1)))
        >>> grad_fn = jax.grad(loss_fn)
        >>> state = asam_jax.linen.apply_gradients(
        ...     state, grads=grad_fn(state.params), grad_fn=grad_fn)
        >>> int(state.step)
        1
    """
    update: Any = state.tx.update
    with_grad_fn = optax.GradientTransformationExtraArgs(
        state.tx.init, functools.partial(update, grad_fn=grad_fn)
    )
    stepped = state.replace(tx=with_grad_fn).apply_gradients(grads=grads, **replaced)
    return stepped.replace(tx=state.tx)
