"""The point around which a loss is measured: w, its T_w, and the loss there."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ._mean_loss import MeanLoss
from ._programs import programs_of
from ._scales import checked_scales
from ._selection import combine, partition
from ._typing import Normalization, PyTree, Where
from ._validation import check_real


class Center(NamedTuple):
    """A point, in trees of those parameters that vary (the others are None in them).

    Attributes:
        loss: The loss over the data set.
        params: The parameters w, in float32 at least.
        scales: The diagonal of T_w, in the shapes of `params`.
        others: Zeros for the parameters that do not vary.
    """

    loss: MeanLoss
    params: PyTree
    scales: PyTree
    others: PyTree

    def displaced(self, delta: PyTree) -> PyTree:
        """Returns w + T delta."""
        return _displaced(self.params, self.scales, delta)

    def perturbation(self, delta: PyTree) -> PyTree:
        """Returns eps = T delta as a tree of all parameters."""
        return self.whole(jax.tree.map(jnp.multiply, self.scales, delta))

    def whole(self, tree: PyTree) -> PyTree:
        """Returns a tree of all parameters, 0 for those that do not vary."""
        return combine(tree, self.others)

    @property
    def num_axes(self) -> int:
        """The number of values that vary."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))


def center(
    loss_fn: Callable[..., jax.Array],
    params: PyTree,
    batches: Iterable[PyTree] | None,
    args: tuple[Any, ...],
    normalization: Normalization,
    mask: Where | None,
) -> Center:
    """Returns the point w with the loss around it.

    Raises:
        ValueError: If nothing varies, or the scales do not fit, are not finite or all
            zero.
        TypeError: If a parameter that varies is not real and floating.
    """
    params, scales, kept = checked_scales(params, normalization, mask)
    varying, fixed = partition(params, kept)
    check_real(varying)
    scales = jax.tree.map(
        lambda scale, w: jnp.broadcast_to(scale, w.shape).astype(w.dtype),
        partition(scales, kept)[0],
        varying,
    )
    _check_extent(scales)
    others = jax.tree.map(jnp.zeros_like, fixed)
    loss = MeanLoss(programs_of(loss_fn), fixed, batches, args)
    return Center(loss, varying, scales, others)


def _check_extent(scales: PyTree) -> None:
    leaves = jax.tree.leaves(scales)
    if not all(jnp.all(jnp.isfinite(scale)) for scale in leaves):
        raise ValueError("the scales of T_w are not finite at these parameters.")
    if not any(jnp.any(scale != 0) for scale in leaves):
        raise ValueError(
            "T_w is zero for every parameter, so that the ball is a point: give the "
            "normalization an eta > 0."
        )


@jax.jit
def _displaced(params, scales, delta):
    return jax.tree.map(lambda w, t, d: w + t * d, params, scales, delta)
