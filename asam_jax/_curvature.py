"""Curvature in the coordinates of the ball: the Hessian as T_w H T_w.

No Hessian is formed: each product with a vector is one pass over the data set.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ._center import Center, center
from ._normalization import identity
from ._typing import Normalization, PyTree, Where
from ._validation import check_like


def hessian_vector_product(
    loss_fn: Callable[..., jax.Array],
    params: PyTree,
    vector: PyTree,
    *,
    batches: Iterable[PyTree] | None = None,
    args: tuple[Any, ...] = (),
    normalization: Normalization = identity(),
    mask: Where | None = None,
) -> PyTree:
    r"""The product :math:`T_w H T_w v` over a data set.

    H is the Hessian of the mean loss L at w; the derivative of the gradient along
    :math:`T_w v` is taken forward, at the cost of about two gradients.

    Args:
        loss_fn: As in `sharpness`.
        params: The parameters w.
        vector: v, a tree like the parameters.
        batches: As in `sharpness`.
        args: As in `sharpness`.
        normalization: Parameters to the diagonal of T_w: `identity` for H itself,
            `elementwise` for the coordinates of ASAM's ball.
        mask: The leaves that vary, all by default; in the others the product is 0.

    Returns:
        A tree like the parameters, in float32 at least.

    Raises:
        ValueError, TypeError: As `sharpness`.

    Example:
        >>> import asam_jax, jax.numpy as jnp
        >>> loss_fn = lambda w: w[0] * w[1]
        >>> asam_jax.hessian_vector_product(
        ...     loss_fn, jnp.array([2.0, 5.0]), jnp.array([1.0, 0.0]),
        ...     normalization=asam_jax.elementwise(0.0, where=True))
        Array([ 0., 10.], dtype=float32)
    """
    check_like("vector", vector, params)
    curvature = curvature_at(loss_fn, params, batches, args, normalization, mask)
    vector = jax.tree.map(
        lambda w, v: None if w is None else jnp.asarray(v, w.dtype),
        curvature.around.params,
        vector,
        is_leaf=lambda x: x is None,
    )
    return curvature.around.whole(curvature.product(vector))


class Curvature(NamedTuple):
    """T_w H T_w as an operator on trees and on vectors.

    Attributes:
        around: The point w.
    """

    around: Center

    def product(self, vector: PyTree) -> PyTree:
        """Returns T H T v, for a tree of the parameters that vary."""
        around = self.around
        scaled = _multiply(around.scales, vector)
        product = around.loss.hessian_vector_product(around.params, scaled)
        return _multiply(around.scales, product)

    def product_on_host(self, vector: np.ndarray) -> np.ndarray:
        """Returns the same for a vector of all values that vary, in float64."""
        product = self.to_vector(self.product(self.to_tree(vector)))
        check_finite(product)
        return product

    def to_vector(self, tree: PyTree) -> np.ndarray:
        """Fetches a tree as one vector, float64."""
        leaves = jax.device_get(jax.tree.leaves(tree))
        return np.concatenate([np.ravel(leaf) for leaf in leaves]).astype(np.float64)

    def to_tree(self, vector: np.ndarray) -> PyTree:
        """Puts a vector on the devices, where the parameters are bound to some."""
        leaves, structure = jax.tree.flatten(self.around.params)
        ends = np.cumsum([leaf.size for leaf in leaves])
        parts = np.split(np.asarray(vector), ends[:-1])
        return structure.unflatten(
            jax.device_put(
                part.reshape(leaf.shape).astype(leaf.dtype),
                leaf.sharding if leaf.committed else None,
            )
            for part, leaf in zip(parts, leaves, strict=True)
        )


def check_finite(product: Any) -> None:
    """Refuses a Hessian that has no finite product."""
    if not np.all(np.isfinite(product)):
        raise ValueError("the Hessian at the parameters is not finite.")


def curvature_at(
    loss_fn: Callable[..., jax.Array],
    params: PyTree,
    batches: Iterable[PyTree] | None,
    args: tuple[Any, ...],
    normalization: Normalization,
    mask: Where | None,
) -> Curvature:
    """Returns the curvature of a loss at w, checked to be measurable."""
    around = center(loss_fn, params, batches, args, normalization, mask)
    around.loss.checked_value(around.params)
    return Curvature(around)


@jax.jit
def _multiply(scales, tree):
    return jax.tree.map(jnp.multiply, scales, tree)
