"""The ascent as an element of an Optax chain."""

import functools
from collections.abc import Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ._ascent import ascend, gradient_at_worst
from ._axis import make_varying
from ._normalization import elementwise, identity
from ._typing import GradFn, Normalization, PyTree, Rho, Where
from ._validation import check_like, check_nonnegative, check_p, check_unmasked


class AscentState(NamedTuple):
    """State of `asam` and `sam`.

    Attributes:
        step: The number of steps taken, int32; a schedule of rho reads it.
    """

    step: jax.typing.ArrayLike


def asam(
    rho: Rho = 0.5,
    eta: jax.typing.ArrayLike = 0.01,
    *,
    normalization: Normalization | None = None,
    p: float = 2,
    mask: Where | None = None,
    axis_name: Hashable | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Replaces the gradient at w by the gradient at the worst point near w.

    .. math::
      g(w) \to g(w + \epsilon), \quad
      \epsilon = \arg\max_\epsilon
        \{ \langle g(w), \epsilon \rangle : \|T_w^{-1} \epsilon\|_p \le \rho \}

    Put it first in the chain: weight decay, clipping, momentum and learning rate then
    act as they always do, at w and on the new gradient. (What stands before it changes
    eps alone: frozen there, leaves are trained all the same.) ``update`` takes one more
    argument, ``grad_fn``, from parameters to the gradients of the loss on the same
    batch (with the same random keys), which it calls once. All of it happens inside
    the compiled step, and nothing of the size of the parameters is kept.

    The parameters reach ``grad_fn`` in float32 at least, since in bfloat16
    ``w + eps`` would round back to w: let the loss cast them to its compute dtype.
    Gradients come back in the dtypes of the incoming ones. See `perturbation` for
    gradients that are zero or not finite.

    Args:
        rho: The radius of the ball, >= 0, or a schedule of it: ``step -> radius``.
        eta: Stabilises the ball where weights are near zero, see `elementwise`; unused
            if `normalization` is given.
        normalization: Parameters to the diagonal of T_w; ``elementwise(eta)`` by
            default.
        p: The norm of the ball, 2 or ``jax.numpy.inf``.
        mask: The leaves that are perturbed, all by default: a tree of booleans or a
            function ``(path, leaf) -> bool``.
        axis_name: Under `jax.shard_map` or `jax.pmap`, the axis (or tuple of axes)
            whose devices each climb their own gradient: m-sharpness. The incoming
            gradient and the returned one are this device's; average after the ascent.
            With None, average inside both gradient functions for one shared
            perturbation; under `jax.jit` gradients are global and None is right. Within
            `jax.shard_map` each device must hold whole leaves: the norm of parameters
            that are split over devices (FSDP) is right under `jax.jit` alone.

    Returns:
        An Optax gradient transformation, whose ``update`` needs ``params`` and
        ``grad_fn``.

    Raises:
        ValueError: If `rho` or `eta` is negative or not finite, or `p` is unknown. From
            ``update``: if ``params`` is missing, ``grad_fn`` returns anything but
            gradients, a wrapper has hidden parameters, `axis_name` is not bound, or the
            gradient was already summed over it.
        TypeError: If `rho` or `eta` is no number. From ``update``, if ``grad_fn`` is
            missing, or a parameter that is not masked out is neither floating nor
            complex.

    Example:
        >>> import asam_jax, jax, jax.numpy as jnp, optax
        >>> loss_fn = lambda params, x: jnp.mean((x @ params["kernel"]) ** 2)
        >>> params, x = {"kernel": jnp.ones(2)}, jnp.eye(2)
        >>> optimizer = optax.chain(asam_jax.asam(rho=0.5), optax.sgd(0.1))
        >>> opt_state = optimizer.init(params)
        >>> grads = jax.grad(loss_fn)(params, x)
        >>> updates, opt_state = optimizer.update(
        ...     grads, opt_state, params, grad_fn=lambda p: jax.grad(loss_fn)(p, x))
        >>> optax.apply_updates(params, updates)["kernel"].round(3)
        Array([0.864, 0.864], dtype=float32)

    References:
        Kwon et al., `ASAM <https://arxiv.org/abs/2102.11600>`_, 2021, algorithm 1.
    """
    if not callable(rho):
        check_nonnegative("rho", rho)
    check_p(p)
    if normalization is None:
        normalization = elementwise(eta)

    def init(params: PyTree) -> AscentState:
        check_unmasked(params)
        return AscentState(step=jnp.zeros([], jnp.int32))

    def update(
        updates: PyTree,
        state: Any,
        params: PyTree | None = None,
        *,
        grad_fn: GradFn | None = None,
        **extra_args,
    ) -> tuple[PyTree, AscentState]:
        del extra_args
        if grad_fn is None:
            raise TypeError(_NO_GRAD_FN)
        if params is None:
            raise ValueError(_NO_PARAMS)
        check_unmasked(params)
        check_like("updates", updates, params)
        if axis_name is not None:
            params = make_varying(params, updates, axis_name)
        climb = functools.partial(
            ascend,
            rho=rho(state.step) if callable(rho) else rho,
            normalization=normalization,
            p=p,
            mask=mask,
        )
        grads = gradient_at_worst(grad_fn, climb, params, updates)
        return grads, AscentState(optax.safe_increment(state.step))

    return optax.GradientTransformationExtraArgs(init, update)


def sam(
    rho: Rho = 0.05,
    *,
    p: float = 2,
    mask: Where | None = None,
    axis_name: Hashable | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Sharpness-aware minimization: `asam` in a ball that is a sphere.

    .. math::
      g(w) \to g(w + \epsilon), \quad \epsilon = \rho \, g(w) / \|g(w)\|_2

    Args:
        rho: The radius of the ball, >= 0, or a schedule of it: ``step -> radius``.
        p: The norm of the ball, 2 or ``jax.numpy.inf``.
        mask: The leaves that are perturbed, as in `asam`.
        axis_name: The axis whose devices climb by themselves, as in `asam`.

    Returns:
        An Optax gradient transformation, whose ``update`` needs ``params`` and
        ``grad_fn``.

    Raises:
        ValueError, TypeError: As `asam`.

    Example:
        >>> import asam_jax, optax
        >>> optimizer = optax.chain(asam_jax.sam(rho=0.05), optax.adam(1e-3))

    References:
        Foret et al., `SAM <https://arxiv.org/abs/2010.01412>`_, 2021.
    """
    return asam(rho, normalization=identity(), p=p, mask=mask, axis_name=axis_name)


_NO_PARAMS = """update needs the parameters, around which it climbs:

  updates, opt_state = optimizer.update(grads, opt_state, params, grad_fn=...)"""

_NO_GRAD_FN = """update needs grad_fn, which takes the gradient again at w + eps:

  updates, opt_state = optimizer.update(
      grads, opt_state, params, grad_fn=lambda p: jax.grad(loss_fn)(p, batch))

If you did pass it, a wrapper has dropped it: a plain optax.GradientTransformation,
optax.contrib.galore or MultiSteps(...).gradient_transformation() around the ascent
(put the ascent outside: optax.chain(asam_jax.asam(rho), wrapper)), or flax's
TrainState.apply_gradients (use asam_jax.linen.apply_gradients)."""
