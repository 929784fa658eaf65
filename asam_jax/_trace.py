"""The trace of T_w H T_w."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from ._ball import inner
from ._curvature import check_finite, curvature_at
from ._monte_carlo import check_num_samples, mean_and_standard_error
from ._normalization import identity
from ._typing import Normalization, PyTree, Where


class HessianTrace(NamedTuple):
    """What `hessian_trace` found.

    Attributes:
        value: The trace of T H T.
        standard_error: Of the estimate, from the spread of the samples.
    """

    value: float
    standard_error: float


def hessian_trace(
    loss_fn: Callable[..., jax.Array],
    params: PyTree,
    *,
    key: jax.Array,
    num_samples: int = 100,
    batches: Iterable[PyTree] | None = None,
    args: tuple[Any, ...] = (),
    normalization: Normalization = identity(),
    mask: Where | None = None,
) -> HessianTrace:
    r"""The trace of :math:`T_w H T_w`, by Hutchinson's estimator.

    .. math::
      \mathrm{tr}(T_w H T_w) = \mathbb{E}_v [v^\top T_w H T_w v], \quad v_i = \pm 1

    Args:
        loss_fn: As in `sharpness`.
        params: The parameters w.
        key: A `jax.random.key`.
        num_samples: The number of vectors v, >= 2.
        batches: As in `sharpness`.
        args: As in `sharpness`.
        normalization: Parameters to the diagonal of T_w: `identity` for H itself,
            `elementwise` for the coordinates of ASAM's ball.
        mask: The leaves that vary, all by default.

    Returns:
        A `HessianTrace`.

    Raises:
        ValueError, TypeError: As `sharpness`, and for fewer than two samples.

    Example:
        >>> import asam_jax, jax, jax.numpy as jnp
        >>> trace = asam_jax.hessian_trace(
        ...     lambda w: jnp.sum(w**2), jnp.ones(5), key=jax.random.key(0),
        ...     num_samples=2, normalization=asam_jax.identity())
        >>> trace.value, trace.standard_error
        (10.0, 0.0)

    References:
        Hutchinson, A stochastic estimator of the trace of the influence matrix, 1989.
    """
    check_num_samples(num_samples)
    curvature = curvature_at(loss_fn, params, batches, args, normalization, mask)
    samples = []
    for sample in range(num_samples):
        v = _signs(jax.random.fold_in(key, sample), curvature.around.params)
        samples.append(np.asarray(inner(v, curvature.product(v))))
    check_finite(samples)
    return HessianTrace(*mean_and_standard_error(samples))


@jax.jit
def _signs(key, like):
    return optax.tree.random_like(key, like, jax.random.rademacher)
