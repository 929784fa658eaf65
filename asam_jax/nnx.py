"""For Flax NNX: a gradient function that leaves the model's state alone."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from flax.nnx import filterlib

from ._typing import GradFn, PyTree


def grad_fn(
    loss_fn: Callable[..., Any],
    model: nnx.Module,
    *args: Any,
    wrt: filterlib.Filter = nnx.Param,
    has_aux: bool = False,
    **kwargs: Any,
) -> GradFn:
    """The ``grad_fn`` of an NNX model, for ``nnx.Optimizer.update``.

    Call it before the clean pass. It takes a snapshot of all that is no parameter:
    BatchNorm statistics and the counters of random streams, in the model and in the
    other arguments. The second pass starts from there, so that it draws the same
    dropout masks, and what it does to them is thrown away: statistics move once a step,
    in the clean pass.

    Args:
        loss_fn: ``loss_fn(model, *args, **kwargs)`` to a scalar, as for
            `nnx.value_and_grad`.
        model: The model.
        *args: The arguments of `loss_fn` after the model: this step's batch; `nnx.Rngs`
            and metrics too.
        wrt: The filter of the variables that are trained, as given to `nnx.Optimizer`.
        has_aux: Whether `loss_fn` returns ``(loss, aux)``.
        **kwargs: The keyword arguments of `loss_fn`.

    Returns:
        A function from an `nnx.State` of parameters to their gradients.

    Example:
        >>> import asam_jax, asam_jax.nnx, jax.numpy as jnp, optax
        >>> from flax import nnx
        >>> model = nnx.Linear(3, 1, rngs=nnx.Rngs(0))
        >>> chain = optax.chain(asam_jax.asam(rho=0.5), optax.sgd(0.1))
        >>> optimizer = nnx.Optimizer(model, chain, wrt=nnx.Param)
        >>> loss_fn = lambda model, x: jnp.mean(model(x) ** 2)
        >>> x = jnp.ones((2, 3))
        >>> grad_fn = asam_jax.nnx.grad_fn(loss_fn, model, x)
        >>> loss, grads = nnx.value_and_grad(loss_fn)(model, x)
        >>> updates = optimizer.update(model, grads, grad_fn=grad_fn)
    """
    # A clone, since split returns the live variables, which the clean pass moves.
    graphdef, _, rest = nnx.split(nnx.clone(model), wrt, ...)
    kept_args, kept_kwargs = _cloned((args, kwargs))

    def loss_of(params):
        copy = nnx.merge(graphdef, params, rest, copy=True)
        own_args, own_kwargs = _cloned((kept_args, kept_kwargs))
        result = loss_fn(copy, *own_args, **own_kwargs)
        return result[0] if has_aux else result

    return jax.grad(loss_of)


def _cloned(arguments: PyTree) -> PyTree:
    """The same arguments, with copies of what NNX lets a function change."""
    is_node = lambda x: isinstance(x, nnx.Pytree)
    clone = lambda x: nnx.clone(x) if is_node(x) else x
    return jax.tree.map(clone, arguments, is_leaf=is_node)
