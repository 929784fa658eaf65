"""The loss along lines and over planes through the parameters."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._center import center
from ._normalization import filter_norm, identity
from ._precision import at_least_float32
from ._selection import is_weight, partition, select
from ._typing import KeyPath, PyTree
from ._validation import check_like


def filter_normalized_direction(
    key: jax.Array, params: PyTree, *, filter_axis: int = -1
) -> PyTree:
    r"""A random direction whose filters are as long as those of the parameters.

    .. math::
      d_j \gets \frac{\|f_j\|_2}{\|d_j\|_2} d_j, \quad d \sim \mathcal{N}(0, I)

    for each filter (of a convolution) or neuron (of a linear layer), so that slices of
    nets with different scales of weights can be compared. Biases, and leaves with fewer
    than two axes, such as the parameters of normalization layers, do not move. Layers
    stacked in one leaf, [layer, ...], as `jax.lax.scan` takes them, count as one layer.

    Args:
        key: A `jax.random.key`.
        params: The parameters w.
        filter_axis: The axis that counts the filters: -1 for Flax's kernels, 0 for
            those of Equinox and PyTorch.

    Returns:
        A tree like the parameters, in float32 at least.

    Example:
        >>> import asam_jax, jax, jax.numpy as jnp
        >>> params = {"kernel": jnp.array([[3.0, 0.0], [4.0, 1.0]])}
        >>> direction = asam_jax.filter_normalized_direction(jax.random.key(0), params)
        >>> jnp.linalg.norm(direction["kernel"], axis=0).round(3)
        Array([5., 1.], dtype=float32)

    References:
        Li et al., `Visualizing the loss landscape of neural nets
        <https://arxiv.org/abs/1712.09913>`_, 2018, section 4.
    """
    params = jax.tree.map(at_least_float32, params)

    def rescaled(path, w, key):
        if w.ndim < 2 or w.size == 0 or not _is_moved(path, w):
            return jnp.zeros_like(w)
        d = jax.random.normal(key, w.shape, w.dtype)
        return d * (filter_norm(w, filter_axis) / filter_norm(d, filter_axis))

    structure = jax.tree.structure(params)
    keys = structure.unflatten(jax.random.split(key, structure.num_leaves))
    return jax.tree_util.tree_map_with_path(rescaled, params, keys)


def loss_slice(
    loss_fn: Callable[..., jax.Array],
    params: PyTree,
    directions: Sequence[PyTree],
    offsets: jax.typing.ArrayLike,
    *,
    batches: Iterable[PyTree] | None = None,
    args: tuple[Any, ...] = (),
) -> np.ndarray:
    r"""The loss at points of a line or plane through the parameters.

    .. math::
      L(w + a_1 d_1 + \ldots + a_k d_k)

    Args:
        loss_fn: As in `sharpness`.
        params: The parameters w; integer leaves stay as they are.
        directions: k trees like the parameters: 1 for a line, 2 for a plane.
        offsets: The points :math:`(a_1, \ldots, a_k)`, float [..., k].
        batches: As in `sharpness`.
        args: As in `sharpness`.

    Returns:
        The losses, float64 [...]. They may be infinite or NaN far from w.

    Raises:
        ValueError, TypeError: As `sharpness`; also if directions and offsets do not
            match.

    Example:
        >>> import asam_jax, jax.numpy as jnp
        >>> loss_fn = lambda w: jnp.sum(w**2)
        >>> x, y = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
        >>> grid = jnp.stack(jnp.meshgrid(jnp.arange(3.0), jnp.arange(2.0)), axis=-1)
        >>> asam_jax.loss_slice(loss_fn, jnp.zeros(2), (x, y), grid)
        array([[0., 1., 4.],
               [1., 2., 5.]])
    """
    offsets = np.asarray(offsets)
    if offsets.ndim == 0 or offsets.shape[-1] != len(directions):
        raise ValueError(
            f"offsets must have one value a direction on its last axis: got shape "
            f"{offsets.shape} for {len(directions)} directions."
        )
    for direction in directions:
        check_like("a direction", direction, params)
    around = center(loss_fn, params, batches, args, identity(), _is_inexact)
    kept = select(_is_inexact, params)
    directions = [partition(direction, kept)[0] for direction in directions]
    around.loss.checked_value(around.params)
    losses = [
        around.loss.value(_moved(around.params, tuple(directions), tuple(point)))
        for point in offsets.reshape(-1, len(directions))
    ]
    return np.reshape(losses, offsets.shape[:-1])


def _is_moved(path: KeyPath, leaf: Any) -> bool:
    return _is_inexact(path, leaf) and is_weight(path, leaf)


def _is_inexact(path: KeyPath, leaf: Any) -> bool:
    del path
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


@jax.jit
def _moved(params, directions, point):
    def moved(w, *ds):
        return w + sum(a.astype(w.dtype) * d for a, d in zip(point, ds, strict=True))

    return jax.tree.map(moved, params, *directions)
