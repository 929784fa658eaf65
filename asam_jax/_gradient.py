"""The sharpness-aware gradient as a drop-in for `jax.value_and_grad`."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._ascent import ascend, gradient_at_worst
from ._groups import group_arguments
from ._normalization import elementwise
from ._precision import cast_like
from ._typing import Normalization, PyTree, Where
from ._validation import check_like, check_nonnegative, check_p


def value_and_grad(
    loss_fn: Callable[..., Any],
    *,
    rho: jax.typing.ArrayLike,
    normalization: Normalization = elementwise(),
    p: float = 2,
    mask: Where | None = None,
    source: PyTree | None = None,
    has_aux: bool = False,
    num_groups: int = 1,
    batch_argnums: int | Sequence[int] | None = None,
) -> Callable[..., tuple[Any, Any]]:
    r"""The loss at w and its gradient at w + eps, like `jax.value_and_grad`.

    .. math::
      L(w), \quad \nabla L(w + \epsilon), \quad
      \epsilon = \mathrm{perturbation}(w, \nabla L(w), \rho)

    The loss and aux are those of the clean pass at w, so that BatchNorm statistics
    and metrics come from there, once a step. Both passes see the same arguments, and
    so the same dropout masks.

    A `source` saves the clean pass. It is the direction d that is climbed in the place
    of this batch's gradient,

    .. math::
      L(w + \epsilon), \quad \nabla L(w + \epsilon), \quad
      \epsilon = \mathrm{perturbation}(w, d, \rho),

    such as the gradient on a part of the batch (so that a step costs 1 + that part),
    `momentum_source` or the last step's gradient (so that it costs 1). Loss and aux are
    then those at w + eps, the only pass there is.

    With ``num_groups=m`` the batch is split into m groups of consecutive examples,
    each of which climbs its own perturbation (m-sharpness), all at once by `jax.vmap`:
    m perturbations are in memory together. For one group a device, call this function
    inside `jax.shard_map` instead, as the README has it: XLA may gather convolutions
    over groups that it should keep apart. There each device must hold whole leaves: of
    parameters that are split over devices (FSDP) only `jax.jit` knows the norm.

    Args:
        loss_fn: ``loss_fn(params, *args, **kwargs)`` to a real scalar, a mean over the
            batch, or to ``(scalar, aux)``. The perturbed parameters come in float32 at
            least.
        rho: The radius of the ball, >= 0, a number or an array.
        normalization: Parameters to the diagonal of T_w, as in `perturbation`.
        p: The norm of the ball, 2 or ``jax.numpy.inf``.
        mask: The leaves that are perturbed, as in `perturbation`.
        source: The direction d that is climbed, a tree like params: eps goes along it,
            not against it. The gradient of the clean pass by default. Where it is zero
            or not finite, eps is 0.
        has_aux: Whether `loss_fn` returns aux beside the loss.
        num_groups: The number of groups, m; 1 is one perturbation for the whole batch.
        batch_argnums: The positions of the arguments that are split on axis 0, counted
            as in `jax.grad` (params is 0); all after params by default. The others, and
            keyword arguments, go to each group whole. A PRNG key (`jax.random.key`; not
            the old `PRNGKey`, a plain array) in any of them is folded with the index of
            the group; an array of keys in a batch argument is split.

    Returns:
        A function with the arguments of `loss_fn` that returns ``(loss, grads)`` or
        ``((loss, aux), grads)``. Over groups, loss and gradients are averaged and aux
        is stacked on a leading axis of m.

    Raises:
        ValueError: If `rho` is negative or not finite, `p` is unknown, the groups do
            not divide the batch, or `source` is not like params.

    Example:
        >>> import asam_jax, jax.numpy as jnp
        >>> loss_fn = lambda w, x: jnp.mean((x @ w) ** 2)
        >>> w, x = jnp.array([1.0, 1.0]), jnp.eye(2)
        >>> loss, grads = asam_jax.value_and_grad(loss_fn, rho=0.5)(w, x)
        >>> loss, grads.round(2)
        (Array(1., dtype=float32), Array([1.35, 1.35], dtype=float32))

    References:
        Kwon et al., `ASAM <https://arxiv.org/abs/2102.11600>`_, 2021; Foret et al.,
        `SAM <https://arxiv.org/abs/2010.01412>`_, 2021, section 4.1 (m-sharpness).
    """
    check_nonnegative("rho", rho)
    check_p(p)
    num_groups = operator.index(num_groups)
    if num_groups < 1:
        raise ValueError(f"num_groups must be at least 1, got {num_groups}.")

    plain = jax.value_and_grad(loss_fn, has_aux=has_aux)
    climb = functools.partial(
        ascend, rho=rho, normalization=normalization, p=p, mask=mask
    )

    def along_source(params, *args, **kwargs):
        check_like("source", source, params)
        value, grads = plain(climb(params, source), *args, **kwargs)
        return value, cast_like(grads, params)

    def along_gradient(params, *args, **kwargs):
        value, grads = plain(params, *args, **kwargs)
        grad_fn = lambda perturbed: plain(perturbed, *args, **kwargs)[1]
        return value, gradient_at_worst(grad_fn, climb, params, grads)

    one_group = along_gradient if source is None else along_source

    def all_groups(params, *args, **kwargs):
        grouped, arguments_of_group = group_arguments(
            args, kwargs, num_groups, batch_argnums
        )

        def group(part):
            group_args, group_kwargs = arguments_of_group(part)
            return one_group(params, *group_args, **group_kwargs)

        value, grads = jax.vmap(group)(grouped)
        loss, aux = value if has_aux else (value, None)
        mean_loss, grads = jax.tree.map(lambda x: jnp.mean(x, axis=0), (loss, grads))
        return (mean_loss, aux) if has_aux else mean_loss, grads

    return one_group if num_groups == 1 else all_groups
