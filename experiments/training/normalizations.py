"""The shapes of the ball that a config can name."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

import asam_jax


def layerwise(eta: float) -> Callable[[Any], Any]:
    r"""One length for each layer: the root mean square of its weights.

    .. math::
      T_w = \|w_l\|_2 / \sqrt{n_l} + \eta

    for every weight of a leaf with n_l of them, and exactly 1 for biases. Divided by
    the square root, since then T_w has the norm over the leaf that it has element-wise,
    and the same rho means a perturbation of about the same size.

    Args:
        eta: Stabilises the ball where a layer is near zero; >= 0.

    Returns:
        A function from parameters to the diagonal of T_w, a scalar a leaf.
    """

    def scale_of(path, leaf):
        if not asam_jax.is_weight(path, leaf):
            return jnp.ones([])
        return jnp.sqrt(jnp.mean(leaf**2)) + eta

    return lambda params: jax.tree_util.tree_map_with_path(scale_of, params)


NORMALIZATIONS: Mapping[str, Callable[[float], Callable[[Any], Any]]] = {
    "identity": lambda eta: asam_jax.identity(),
    "elementwise": asam_jax.elementwise,
    "elementwise-with-bias": lambda eta: asam_jax.elementwise(eta, where=True),
    "filterwise": asam_jax.filterwise,
    "layerwise": layerwise,
}
"""Name to a function of eta. With bias: biases and BatchNorm's offsets, too."""
