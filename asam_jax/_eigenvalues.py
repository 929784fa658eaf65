"""The largest eigenvalues of T_w H T_w."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from ._curvature import curvature_at
from ._normalization import identity
from ._typing import Normalization, PyTree, Where


class HessianEigenpairs(NamedTuple):
    """What `hessian_eigenvalues` found.

    Attributes:
        values: The eigenvalues of T H T, the largest first, float64 [num].
        vectors: Their unit eigenvectors delta, trees like the parameters. The direction
            in the parameters themselves is T delta.
    """

    values: np.ndarray
    vectors: tuple[PyTree, ...]


def hessian_eigenvalues(
    loss_fn: Callable[..., jax.Array],
    params: PyTree,
    *,
    num: int = 1,
    tolerance: float = 1e-3,
    batches: Iterable[PyTree] | None = None,
    args: tuple[Any, ...] = (),
    normalization: Normalization = identity(),
    mask: Where | None = None,
) -> HessianEigenpairs:
    r"""The algebraically largest eigenvalues of :math:`T_w H T_w`, by ARPACK.

    Near a minimum the worst rise in a small ball of p = 2 is
    :math:`\frac{\rho^2}{2} \lambda_{\max}(T_w H T_w)`.

    Args:
        loss_fn: As in `sharpness`.
        params: The parameters w.
        num: The number of eigenvalues.
        tolerance: Relative accuracy of the eigenvalues.
        batches: As in `sharpness`.
        args: As in `sharpness`.
        normalization: Parameters to the diagonal of T_w: `identity` for H itself,
            `elementwise` for the coordinates of ASAM's ball.
        mask: The leaves that vary, all by default.

    Returns:
        An `HessianEigenpairs`.

    Raises:
        ValueError, TypeError: As `sharpness`, and if there are not `num` eigenvalues.
        scipy.sparse.linalg.ArpackNoConvergence: If the iteration does not converge.

    Example:
        >>> import asam_jax, jax.numpy as jnp
        >>> loss_fn = lambda w: 3 * w[0] ** 2 + 0.5 * w[1] ** 2
        >>> pairs = asam_jax.hessian_eigenvalues(
        ...     loss_fn, jnp.array([1.0, 1.0]), num=2,
        ...     normalization=asam_jax.identity())
        >>> pairs.values.round(3)
        array([6., 1.])

    References:
        Lehoucq, Sorensen, Yang, ARPACK Users' Guide, 1998.
    """
    curvature = curvature_at(loss_fn, params, batches, args, normalization, mask)
    size = curvature.around.num_axes
    if not 1 <= num <= size:
        raise ValueError(f"num must be between 1 and {size}, got {num}.")
    matvec = curvature.product_on_host
    if 2 * num >= size:  # too many for ARPACK, and few enough for a matrix
        matrix = np.stack([matvec(column) for column in np.eye(size)])
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    else:
        values, vectors = _arpack(matvec, size, num, tolerance)
    order = np.argsort(values)[::-1][:num]
    trees = tuple(
        curvature.around.whole(curvature.to_tree(vectors[:, i])) for i in order
    )
    return HessianEigenpairs(values[order], trees)


def _arpack(
    matvec: Callable[[np.ndarray], np.ndarray], size: int, num: int, tolerance: Any
) -> tuple[np.ndarray, np.ndarray]:
    start = np.random.default_rng(0).normal(size=size)
    if not np.any(matvec(start)):  # a zero matrix, at which ARPACK fails
        return np.zeros(num), np.eye(size, num)
    operator_type: Any = LinearOperator  # SciPy's types do not know its constructor
    values, vectors = eigsh(
        operator_type((size, size), matvec=matvec, dtype=np.float64),
        k=num,
        which="LA",
        v0=start,
        tol=tolerance,
    )
    return np.asarray(values), np.asarray(vectors)
