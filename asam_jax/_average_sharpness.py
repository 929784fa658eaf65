"""Average sharpness: how much the loss rises on average in random directions."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ._ball import Ball, gaussian
from ._center import center
from ._monte_carlo import check_num_samples, mean_and_standard_error
from ._normalization import elementwise
from ._typing import Normalization, PyTree, Where
from ._validation import check_nonnegative, check_p


class AverageSharpness(NamedTuple):
    """What `average_sharpness` found.

    Attributes:
        value: The mean of L(w + eps) - L(w).
        standard_error: Of the mean, from the spread of the samples.
        clean_loss: L(w).
    """

    value: float
    standard_error: float
    clean_loss: float


def average_sharpness(
    loss_fn: Callable[..., jax.Array],
    params: PyTree,
    *,
    rho: float,
    key: jax.Array,
    num_samples: int = 100,
    distribution: Literal["gaussian", "uniform"] = "gaussian",
    batches: Iterable[PyTree] | None = None,
    args: tuple[Any, ...] = (),
    normalization: Normalization = elementwise(),
    p: float = 2,
    mask: Where | None = None,
) -> AverageSharpness:
    r"""The mean rise of the loss under random perturbations.

    .. math::
      \mathbb{E}_\epsilon [L(w + \epsilon)] - L(w), \quad \epsilon = T_w \delta,
      \quad \delta \sim \mathcal{N}(0, \rho^2 I)
      \text{ or uniform in } \|\delta\|_p \le \rho

    For a quadratic loss and Gaussian noise it is :math:`\frac{\rho^2}{2}
    \mathrm{tr}(T_w H T_w)`.

    Args:
        loss_fn: As in `sharpness`.
        params: The parameters w.
        rho: The standard deviation of each coordinate of delta (Gaussian), or the
            radius of the ball (uniform); >= 0.
        key: A `jax.random.key`.
        num_samples: The number of perturbations, >= 2. Each costs one loss over the
            data set.
        distribution: "gaussian" or "uniform".
        batches: As in `sharpness`.
        args: As in `sharpness`.
        normalization: Parameters to the diagonal of T_w, as in `perturbation`.
        p: The norm of the ball, 2 or ``jax.numpy.inf``; unused by "gaussian".
        mask: The leaves that are perturbed, as in `perturbation`.

    Returns:
        An `AverageSharpness`.

    Raises:
        ValueError, TypeError: As `sharpness`; also for an unknown distribution or
            fewer than two samples.

    Example:
        >>> import asam_jax, jax, jax.numpy as jnp
        >>> loss_fn = lambda w: 2.0 * jnp.sum(w**2)  # the Hessian is 4 I
        >>> average = asam_jax.average_sharpness(
        ...     loss_fn, jnp.ones(3), rho=0.1, key=jax.random.key(0),
        ...     normalization=asam_jax.identity(), num_samples=1000)
        >>> bool(abs(average.value - 0.06) < 3 * average.standard_error)
        True

    References:
        Andriushchenko et al., `A modern look at the relationship between sharpness and
        generalization <https://arxiv.org/abs/2302.07011>`_, 2023, section 2.
    """
    rho = float(rho)
    check_nonnegative("rho", rho)
    check_p(p)
    if distribution not in ("gaussian", "uniform"):
        raise ValueError(
            f'distribution must be "gaussian" or "uniform": {distribution!r}.'
        )
    check_num_samples(num_samples)
    around = center(loss_fn, params, batches, args, normalization, mask)
    clean_loss = around.loss.checked_value(around.params)
    draw = _gaussian if distribution == "gaussian" else Ball.draw
    rises = []
    for sample in range(num_samples):
        delta = draw(Ball(rho, p), jax.random.fold_in(key, sample), around.scales)
        rises.append(around.loss.value(around.displaced(delta)) - clean_loss)
    if not np.isfinite(rises).all():
        raise ValueError(
            f"the loss is not finite at a random perturbation of rho={rho}. Measure "
            "with a smaller rho."
        )
    return AverageSharpness(*mean_and_standard_error(rises), clean_loss)


@jax.jit
def _gaussian(ball, key, scales):
    noise = gaussian(key, scales)
    return jax.tree.map(lambda d: jnp.asarray(ball.rho, d.dtype) * d, noise)
