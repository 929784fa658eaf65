"""The operator T_w, which sets the shape of the ball around the parameters.

Each function here returns a normalization: parameters to a tree of scales, the
diagonal of T_w. Any function of that kind serves; its scales have to broadcast to
their leaves.
"""

import jax
import jax.numpy as jnp

from ._cpu import unshared
from ._precision import at_least_float32
from ._selection import is_weight, select
from ._typing import Normalization, Where
from ._validation import check_nonnegative


def identity() -> Normalization:
    r"""The ball of SAM: :math:`T_w = I`, a sphere (p = 2) or a cube (p = inf).

    Returns:
        A normalization, whose scales are all 1.

    Example:
        >>> import asam_jax, jax.numpy as jnp
        >>> asam_jax.identity()({"kernel": jnp.array([[-2.0, 0.5]])})
        {'kernel': Array([[1., 1.]], dtype=float32)}

    References:
        Foret et al., `SAM <https://arxiv.org/abs/2010.01412>`_, 2021.
    """
    return lambda params: jax.tree.map(_ones, params)


def elementwise(
    eta: jax.typing.ArrayLike = 0.01, where: Where = is_weight
) -> Normalization:
    r"""The ball of ASAM, each axis as long as its weight.

    .. math::
      T_w = \mathrm{diag}(|w_1| + \eta, \ldots, |w_n| + \eta)

    for the leaves that `where` selects, and exactly 1, without :math:`\eta`, for the
    others: the paper's "no bias normalization" and its official code.

    Args:
        eta: Stabilises the ball where weights are near zero; >= 0.
        where: The leaves with :math:`|w| + \eta`: a function ``(path, leaf) -> bool``
            or a tree of booleans. ``lambda path, leaf: True`` with ``eta=0`` gives the
            ball that is exactly invariant to rescaling.

    Returns:
        A normalization, whose scales have the shapes of the parameters.

    Raises:
        ValueError: If `eta` is negative or not finite.

    Example:
        >>> import asam_jax, jax.numpy as jnp
        >>> params = {"kernel": jnp.array([[-2.0, 0.5]]), "bias": jnp.array([3.0])}
        >>> scales = asam_jax.elementwise(eta=0.0)(params)
        >>> scales["kernel"], scales["bias"]
        (Array([[2. , 0.5]], dtype=float32), Array([1.], dtype=float32))

    References:
        Kwon et al., `ASAM <https://arxiv.org/abs/2102.11600>`_, 2021, section 3.
    """
    check_nonnegative("eta", eta)

    def scale_of(leaf, normalized):
        if not normalized:
            return _ones(leaf)
        leaf, own_eta = unshared((leaf, eta))  # leaves of one shape share eta else
        return _magnitude(leaf) + own_eta

    return lambda params: jax.tree.map(scale_of, params, select(where, params))


def _is_convolution(path, leaf):
    del path
    return jnp.ndim(leaf) == 4


def filterwise(
    eta: jax.typing.ArrayLike = 0.01,
    where: Where = is_weight,
    is_filter: Where = _is_convolution,
    filter_axis: int = -1,
) -> Normalization:
    r"""The ball of ASAM with one length for each convolution filter.

    .. math::
      T_w = \|f_j\|_2 + \eta

    for every entry of filter :math:`f_j`, and the scale of `elementwise` for all that
    is no filter. (In float32 the norm of weights below 1e-19 is zero.) Layers stacked
    in one leaf, [layer, ...], as `jax.lax.scan` takes them, count as one layer.

    Args:
        eta: Stabilises the ball where weights are near zero; >= 0.
        where: The leaves that are normalized; the scale of the others is exactly 1.
        is_filter: Of these, the ones that hold filters: a function ``(path, leaf) ->
            bool`` or a tree of booleans. By default those with four axes.
        filter_axis: The axis that counts the filters: -1 for Flax's HWIO kernels, 0 for
            the OIHW kernels of Equinox and PyTorch.

    Returns:
        A normalization, whose scales have the shapes of the parameters.

    Raises:
        ValueError: If `eta` is negative or not finite.

    Example:
        >>> import asam_jax, jax.numpy as jnp
        >>> kernel = jnp.array([3.0, 4.0]).reshape(1, 2, 1, 1)
        >>> asam_jax.filterwise(eta=0.0)({"kernel": kernel})["kernel"].ravel()
        Array([5., 5.], dtype=float32)

    References:
        Kwon et al., `ASAM <https://arxiv.org/abs/2102.11600>`_, 2021, section 3.
    """
    check_nonnegative("eta", eta)

    def scale_of(leaf, normalized, filters):
        if not normalized:
            return _ones(leaf)
        leaf, own_eta = unshared((leaf, eta))
        magnitude = _magnitude(leaf)
        return (filter_norm(magnitude, filter_axis) if filters else magnitude) + own_eta

    return lambda params: jax.tree.map(
        scale_of, params, select(where, params), select(is_filter, params)
    )


def _magnitude(leaf):
    return jnp.abs(at_least_float32(leaf))


def _ones(leaf):
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
        return jnp.ones([])  # masked out: integers, random keys
    return jnp.ones_like(_magnitude(leaf))


def filter_norm(magnitude: jax.Array, filter_axis: int) -> jax.Array:
    """The Euclidean norm over all axes but `filter_axis`, in the shape of the leaf."""
    axes = tuple(set(range(magnitude.ndim)) - {filter_axis % magnitude.ndim})
    squares = jnp.sum(magnitude**2, axis=axes, keepdims=True)
    # The derivative of the square root is infinite at 0, even where it is not used.
    norm = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
    return jnp.broadcast_to(norm, magnitude.shape)
