"""The density of the eigenvalues of T_w H T_w."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from scipy import linalg

from ._curvature import curvature_at
from ._normalization import identity
from ._typing import Normalization, PyTree, Where

_BREAKDOWN = 1e-6  # of Lanczos: the new direction against the norm of the product


class HessianDensity(NamedTuple):
    """What `hessian_density` found: the spectrum as weighted points.

    Attributes:
        nodes: Eigenvalues of the Lanczos matrices, float64 [num_samples, num_steps].
        weights: The share of the spectrum at each; those of a sample sum to 1. Where
            Lanczos ended early, the rest are zeros at node 0.
    """

    nodes: np.ndarray
    weights: np.ndarray


def hessian_density(
    loss_fn: Callable[..., jax.Array],
    params: PyTree,
    *,
    key: jax.Array,
    num_samples: int = 4,
    num_steps: int = 30,
    batches: Iterable[PyTree] | None = None,
    args: tuple[Any, ...] = (),
    normalization: Normalization = identity(),
    mask: Where | None = None,
) -> HessianDensity:
    r"""The density of the eigenvalues of :math:`T_w H T_w`, by Lanczos quadrature.

    From a random start, k steps of Lanczos give a tridiagonal matrix with eigenvalues
    :math:`\theta_i` and eigenvectors :math:`u_i`. Its weighted points stand for the
    spectrum, exactly for all polynomials of degree 2k - 1:

    .. math::
      \frac{1}{n} \sum_j f(\lambda_j) \approx
      \mathbb{E} \sum_{i=1}^{k} u_{i1}^2 f(\theta_i)

    Args:
        loss_fn: As in `sharpness`.
        params: The parameters w.
        key: A `jax.random.key`.
        num_samples: The number of random starts.
        num_steps: k, the number of points for each; k vectors are kept on the host.
        batches: As in `sharpness`.
        args: As in `sharpness`.
        normalization: Parameters to the diagonal of T_w: `identity` for H itself,
            `elementwise` for the coordinates of ASAM's ball.
        mask: The leaves that vary, all by default.

    Returns:
        A `HessianDensity`.

    Raises:
        ValueError, TypeError: As `sharpness`.

    Example:
        >>> import asam_jax, jax, jax.numpy as jnp
        >>> curvatures = jnp.array([1.0, 1.0, 5.0])
        >>> density = asam_jax.hessian_density(
        ...     lambda w: jnp.sum(curvatures * w**2) / 2, jnp.ones(3),
        ...     key=jax.random.key(0), num_samples=1, num_steps=2,
        ...     normalization=asam_jax.identity())
        >>> density.nodes.round(3)
        array([[1., 5.]])

    References:
        Ghorbani, Krishnan, Xiao, `An investigation into neural net optimization via
        Hessian eigenvalue density <https://arxiv.org/abs/1901.10159>`_, 2019.
    """
    if num_samples < 1 or num_steps < 1:
        raise ValueError("num_samples and num_steps must be at least 1.")
    curvature = curvature_at(loss_fn, params, batches, args, normalization, mask)
    nodes, weights = np.zeros((2, num_samples, num_steps))
    for sample in range(num_samples):
        start = curvature.to_vector(
            _normal(jax.random.fold_in(key, sample), curvature.around.params)
        )
        diagonal, off_diagonal = _lanczos(curvature.product_on_host, start, num_steps)
        values, vectors = linalg.eigh_tridiagonal(diagonal, off_diagonal)
        nodes[sample, : len(values)] = values
        weights[sample, : len(values)] = vectors[0] ** 2
    return HessianDensity(nodes, weights)


def _lanczos(matvec, start: np.ndarray, num_steps: int):
    """Tridiagonal matrix of a symmetric operator, with full reorthogonalisation.

    It is smaller than `num_steps` where the vectors so far span an invariant space.
    """
    basis = [start / np.linalg.norm(start)]
    diagonal, off_diagonal = [], []
    while True:
        product = matvec(basis[-1])
        diagonal.append(product @ basis[-1])
        rest = product
        for _ in range(2):  # twice is enough
            rest = rest - np.stack(basis).T @ (np.stack(basis) @ rest)
        norm = np.linalg.norm(rest)
        if len(basis) == num_steps or norm <= _BREAKDOWN * np.linalg.norm(product):
            return np.array(diagonal), np.array(off_diagonal)
        off_diagonal.append(norm)
        basis.append(rest / norm)


@jax.jit
def _normal(key, like):
    return optax.tree.random_like(key, like, jax.random.normal)
