"""Ascent on each device of a mapped axis by itself."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ._typing import PyTree


def make_varying(params: PyTree, grads: PyTree, axis_name: Any) -> PyTree:
    """Lets each device along an axis climb from its own copy of the parameters.

    Inside `jax.shard_map` with ``check_vma=True``, differentiating with respect to
    parameters that are the same on all devices sums the gradient over the devices.
    Parameters that vary over the axis, if only by their type, keep it apart.

    Args:
        params: The parameters.
        grads: This device's gradients, like `params`.
        axis_name: The mapped axis, or a tuple of axes.

    Returns:
        The parameters, varying over the axis.

    Raises:
        ValueError: If the axis is not bound, or the gradients were summed over it.
    """
    names = tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)
    if not set(names) <= _tracked(names):
        return params  # pmap, or shard_map with check_vma=False: never summed.

    def check(path, grad):
        if not set(names) <= varying_axes(grad):
            raise ValueError(
                f"the gradient at {jax.tree_util.keystr(path)} is already summed over "
                f"the axis {axis_name!r}, so the devices have no gradient of their own "
                "to climb. Differentiate with respect to parameters that vary over the "
                f"axis: params = jax.lax.pcast(params, {axis_name!r}, to='varying') "
                "before jax.grad, and jax.lax.pmean after the ascent. For one "
                "perturbation shared by all devices leave axis_name=None."
            )

    jax.tree_util.tree_map_with_path(check, grads)
    return jax.tree.map(lambda param: _vary(param, names), params)


def _tracked(names: tuple[Any, ...]) -> set[Any]:
    """The bound axes over which types tell whether a value varies."""
    try:
        return set().union(*(varying_axes(lax.axis_index(name)) for name in names))
    except NameError as error:
        raise ValueError(
            f"axis_name={names!r} is not bound here. Call update inside jax.shard_map "
            "or jax.pmap over that axis; under jax.jit, where gradients are global, "
            "leave axis_name=None."
        ) from error


def vary_alike(tree: PyTree) -> PyTree:
    """The same arrays, each of which varies over all mapped axes that one does."""
    axes = frozenset().union(*map(varying_axes, jax.tree.leaves(tree)))
    return jax.tree.map(lambda array: _vary(jnp.asarray(array), axes), tree)


def _vary(array: jax.Array, axes: Iterable[Any]) -> jax.Array:
    missing = tuple(axis for axis in axes if axis not in varying_axes(array))
    return lax.pcast(array, missing, to="varying") if missing else array


def varying_axes(x: Any) -> frozenset[Any]:
    """Returns the mapped axes over which x varies, by its type."""
    return jax.typeof(x).manual_axis_type.varying
