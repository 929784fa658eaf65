"""Errors that say what to do, raised before anything runs on a device."""

import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ._typing import PyTree


def check_nonnegative(name: str, value: Any) -> None:
    """Refuses a Python number that is negative or not finite.

    Arrays pass: their values may not be known yet (`optax.inject_hyperparams`).
    """
    if isinstance(value, numbers.Real):
        if not 0 <= float(value) < math.inf:
            raise ValueError(f"{name} must be finite and >= 0, got {value}.")
    elif not isinstance(value, (jax.Array, np.ndarray)) or value.ndim:
        raise TypeError(f"{name} must be a number or an array of shape (): {value!r}.")


def check_p(p: Any) -> None:
    """Refuses a norm other than 2 and infinity."""
    if not isinstance(p, numbers.Real) or p not in (2, math.inf):
        raise ValueError(
            f"p must be 2 or jax.numpy.inf, got {p!r}. Under optax.inject_hyperparams "
            'pass static_args=("p", "normalization", "mask", "axis_name") for asam, '
            'static_args=("p", "mask", "axis_name") for sam.'
        )


def check_unmasked(params: PyTree) -> None:
    """Refuses parameters of which a wrapper has hidden a part."""
    nodes = jax.tree.leaves(params, is_leaf=_is_masked_node)
    if any(_is_masked_node(node) for node in nodes):
        raise ValueError(
            "some parameters are hidden by optax.masked, optax.partition or "
            "optax.multi_transform, so the loss cannot be evaluated at w + eps. To "
            "perturb a part of the parameters use `mask=`, and put the wrapper after "
            "the ascent: optax.chain(asam_jax.asam(mask=...), optax.partition(...))."
        )


def _is_masked_node(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)


def check_perturbable(params: PyTree, mask: PyTree) -> None:
    """Refuses a tree with nothing to perturb, or with leaves that have no gradient."""
    kept = jax.tree.leaves(mask)
    if not any(kept):
        raise ValueError(
            "there is nothing to perturb: "
            + ("`mask` leaves all parameters out." if kept else "params has no leaves.")
        )

    def check(path, leaf, keep):
        if keep and not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
            raise TypeError(
                f"the parameter at params{jax.tree_util.keystr(path)} is "
                f"{jnp.result_type(leaf)}, and only floating or complex parameters "
                "have a gradient. Leave it out with "
                "`mask=lambda path, leaf: jnp.issubdtype(jnp.result_type(leaf), "
                "jnp.inexact)`."
            )

    jax.tree_util.tree_map_with_path(check, params, mask)


def check_real(params: PyTree) -> None:
    """Refuses complex parameters, where only real ones are implemented."""

    def check(path, leaf):
        if jnp.iscomplexobj(leaf):
            raise TypeError(
                f"the parameter at params{jax.tree_util.keystr(path)} is complex; "
                "sharpness and curvature are measured in real parameters only."
            )

    jax.tree_util.tree_map_with_path(check, params)


def check_like(name: str, tree: PyTree, params: PyTree) -> None:
    """Refuses a tree that differs from the parameters in structure or shape."""
    structure, expected = jax.tree.structure(tree), jax.tree.structure(params)
    if structure != expected:
        hint = (
            " A gradient function returns gradients only: jax.grad(loss_fn), without "
            "the value of jax.value_and_grad and without aux."
            if isinstance(tree, tuple)
            else ""
        )
        raise ValueError(
            f"{name} must have the structure of params.{hint}\n"
            f"  params: {expected}\n  {name}: {structure}"
        )

    def check(path, leaf, param):
        if jnp.shape(leaf) != jnp.shape(param):
            raise ValueError(
                f"{name}{jax.tree_util.keystr(path)} has shape {jnp.shape(leaf)}, but "
                f"the parameter has shape {jnp.shape(param)}."
            )

    jax.tree_util.tree_map_with_path(check, tree, params)


def check_scales(scales: PyTree, params: PyTree) -> None:
    """Refuses what a normalization returned if it does not fit the parameters."""
    structure, expected = jax.tree.structure(scales), jax.tree.structure(params)
    if structure != expected:
        raise ValueError(
            "normalization must return a tree with the structure of params.\n"
            f"  params: {expected}\n  returned: {structure}"
        )

    def check(path, scale, param):
        shape, full = jnp.shape(scale), jnp.shape(param)
        try:
            fits = np.broadcast_shapes(shape, full) == full
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"the scale at {jax.tree_util.keystr(path)} has shape {shape}, which "
                f"does not broadcast to the parameter's {full}."
            )

    jax.tree_util.tree_map_with_path(check, scales, params)
