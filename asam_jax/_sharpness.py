"""Sharpness: how much the loss rises at worst within the ball."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from ._ball import Ball
from ._center import Center, center
from ._climb import Limits, highest_point
from ._mean_loss import check_data, groups_of
from ._normalization import elementwise
from ._typing import Normalization, PyTree, Where
from ._validation import check_nonnegative, check_p


class Sharpness(NamedTuple):
    """What `sharpness` found.

    Attributes:
        value: L(w + eps) - L(w).
        clean_loss: L(w).
        perturbed_loss: L(w + eps).
        eps: The maximiser, a tree like the parameters; None for groups of examples.
        gap: How much more the best point of the ball promises, by the gradient at
            w + eps. 0 at a maximum; a maximum of a concave loss is no further away.
        converged: Whether a rise was found, above the rounding of the loss, and the gap
            is within the tolerance; also where rho is 0.
    """

    value: float
    clean_loss: float
    perturbed_loss: float
    eps: PyTree
    gap: float
    converged: bool


def sharpness(
    loss_fn: Callable[..., jax.Array],
    params: PyTree,
    *,
    rho: float,
    batches: Iterable[PyTree] | None = None,
    args: tuple[Any, ...] = (),
    normalization: Normalization = elementwise(),
    p: float = 2,
    mask: Where | None = None,
    num_steps: int = 100,
    tolerance: float = 0.01,
    num_restarts: int = 0,
    key: jax.Array | None = None,
    group_size: int | None = None,
) -> Sharpness:
    r"""The largest rise of the loss in a ball around the parameters.

    .. math::
      \max_{\|T_w^{-1} \epsilon\|_p \le \rho} L(w + \epsilon) - L(w)

    where L is the mean over a whole data set. With `elementwise` scales this is the
    paper's adaptive sharpness, with `identity` plain sharpness.

    The ascent begins at the paper's first-order point, the `perturbation` of the full
    gradient; ``num_steps=0`` stops there. From there it is projected gradient ascent
    in the coordinates :math:`\delta = T_w^{-1} \epsilon`, whose steps grow while
    they succeed and shrink until they do: the loss never falls. It ends when the
    linear model promises no more than a share `tolerance` of the value found:

    .. math::
      \max_{\|\delta'\|_p \le \rho} \langle \nabla_\delta L, \delta' - \delta \rangle
      = \rho \|\nabla_\delta L\|_q - \langle \nabla_\delta L, \delta \rangle
      \le \mathrm{tolerance} \cdot (L(w + \epsilon) - L(w))

    That is a local maximum or close to one. Restarts from random points of the ball
    look for a higher one; where the gradient at w is zero, only they find any.

    The loop over batches and steps runs on the host, so that the function itself cannot
    be compiled or mapped. A rise below about 1e-6 of the loss is rounding in float32:
    measure it under ``jax.enable_x64``.

    Args:
        loss_fn: ``loss_fn(params, batch, *args)`` to the mean over a batch, a real
            scalar, the same at each call: no dropout, BatchNorm by its running
            statistics. Without batches, ``loss_fn(params, *args)``. As under `jax.jit`
            it is compiled once for each function and shape, with what it captures:
            pass model state, and all that changes, through `args`.
        params: The parameters w. They reach `loss_fn` in float32 at least.
        rho: The radius, >= 0.
        batches: The data set as batches, whose arrays have the examples on axis 0: a
            list, or an object that starts again at each ``iter()``.
        args: Arguments that are the same for all batches, arrays or trees of them.
        normalization: Parameters to the diagonal of T_w, as in `perturbation`.
        p: The norm of the ball, 2 or ``jax.numpy.inf``.
        mask: The leaves that are perturbed, as in `perturbation`.
        num_steps: The most steps of the ascent from each start; each costs a gradient
            over the data set, more where a step had to shrink.
        tolerance: Of the gap, relative to the value. At a kink, such as those of ReLU
            on few examples, the gap of a maximum need not come down to 0.
        num_restarts: Ascents from random points, besides that from the first-order
            point.
        key: A `jax.random.key` for the restarts.
        group_size: Climb for each group of this many consecutive examples of a batch
            by itself, and average: m-sharpness. All of a batch's examples are used; a
            last, smaller group counts by its size.

    Returns:
        A `Sharpness` of the highest point. For groups the gap is averaged and
        `converged` says whether all are.

    Raises:
        ValueError: If `rho` is negative or not finite, `p` is unknown, there are no
            data, the loss is not finite at w or in the ball, or two evaluations of the
            loss at w differ.
        TypeError: If a parameter that is not masked out is neither real nor floating.

    Example:
        >>> import asam_jax, jax.numpy as jnp
        >>> curvatures = jnp.array([4.0, 1.0])
        >>> loss_fn = lambda w: jnp.sum(curvatures * (w - 1.0) ** 2) / 2
        >>> w = jnp.array([1.5, 3.0])
        >>> plain = asam_jax.sharpness(
        ...     loss_fn, w, rho=1.0, normalization=asam_jax.identity(), tolerance=1e-4)
        >>> round(plain.value, 2), plain.converged
        (4.39, True)

    References:
        Kwon et al., `ASAM <https://arxiv.org/abs/2102.11600>`_, 2021, section 3; Foret
        et al., `SAM <https://arxiv.org/abs/2010.01412>`_, 2021 (m-sharpness);
        Andriushchenko et al., `A modern look at the relationship between sharpness and
        generalization <https://arxiv.org/abs/2302.07011>`_, 2023.
    """
    rho = float(rho)
    check_nonnegative("rho", rho)
    check_p(p)
    if num_steps < 0 or num_restarts < 0 or tolerance < 0:
        raise ValueError("num_steps, num_restarts and tolerance must be >= 0.")
    if num_restarts > 0 and key is None:
        raise ValueError("restarts need a random key: key=jax.random.key(0).")
    if group_size is not None and (batches is None or group_size < 1):
        raise ValueError("group_size needs batches, and must be at least 1.")
    measure = functools.partial(
        _measure,
        ball=Ball(rho, p),
        limits=Limits(num_steps, tolerance, num_restarts),
        key=key,
    )
    around = center(loss_fn, params, batches, args, normalization, mask)
    around.loss.checked_value(around.params)
    if group_size is None:
        return measure(around)
    return _average(around, group_size, measure)


def _measure(
    around: Center, *, ball: Ball, limits: Limits, key: jax.Array | None
) -> Sharpness:
    clean, highest = highest_point(around, ball, limits, key)
    value = highest.loss - clean.loss
    return Sharpness(
        value=value,
        clean_loss=clean.loss,
        perturbed_loss=highest.loss,
        eps=around.perturbation(highest.delta),
        gap=highest.gap,
        converged=ball.rho == 0
        or (
            value > around.loss.rounding(around.params) * abs(clean.loss)
            and highest.gap <= limits.tolerance * value
        ),
    )


def _average(
    around: Center, group_size: int, measure: Callable[[Center], Sharpness]
) -> Sharpness:
    """The mean over groups of examples, each at its own maximiser."""
    counts, found = [], []
    for count, group in groups_of(around.loss, group_size):
        counts.append(count)
        found.append(measure(around._replace(loss=group))._replace(eps=None))
    check_data(sum(counts))
    numbers = [(s.value, s.clean_loss, s.perturbed_loss, s.gap) for s in found]
    value, clean, perturbed, gap = np.average(numbers, axis=0, weights=counts).tolist()
    return Sharpness(
        value, clean, perturbed, None, gap, all(s.converged for s in found)
    )
