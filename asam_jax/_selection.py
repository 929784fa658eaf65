"""Which leaves of a parameter tree are meant."""

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from ._typing import KeyPath, PyTree, Where

_WEIGHT_WORDS = {
    *("weight", "weights", "kernel", "kernels", "scale", "gamma"),
    *("embedding", "embeddings"),
}
_OTHER_WORDS = {"bias", "biases", "offset", "beta"}
_WEIGHT_LETTERS = {"w", "W"}
_OTHER_LETTERS = {"b"}


def is_weight(path: KeyPath, leaf: Any) -> bool:
    """Tells weights, which ASAM normalizes, from biases, which it does not.

    The official code normalizes each parameter whose name contains ``weight``:
    in PyTorch the kernels, the embeddings and the scales of normalization layers.
    This is that rule for the names that JAX libraries use. The path is read from
    the leaf backwards up to the first name that is recognised:

    * ``kernel``, ``weight``, ``scale``, ``gamma`` or ``embedding``, also as a word
      within a name (``weight_ih``, ``q_kernel``), and ``w`` or ``W`` alone or with
      digits (``w1``): a weight;
    * ``bias``, ``offset`` or ``beta``, likewise, and ``b`` but not ``B``: not a weight.

    Keys of flattened trees are paths themselves (``layer/kernel``, ``layer.weight``,
    ``("layer", "kernel")``), read in the same way. A leaf with no recognised name on
    its path is a weight if it has two axes or more.

    Args:
        path: The leaf's key path, as ``jax.tree_util.tree_map_with_path`` gives it.
        leaf: The leaf, an array or anything with ``ndim``.

    Returns:
        Whether the leaf is a weight.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> params = {"conv": {"kernel": jnp.ones((3, 3, 1, 4)), "bias": jnp.ones(4)}}
        >>> jax.tree_util.tree_map_with_path(is_weight, params)
        {'conv': {'bias': False, 'kernel': True}}

    References:
        Kwon et al., `ASAM <https://arxiv.org/abs/2102.11600>`_, 2021, section 3 (no
        bias normalization), and its official code.
    """
    for entry in reversed(path):
        key = getattr(entry, "key", getattr(entry, "name", None))
        for name in reversed(_names(key)):
            recognised = _recognise(name)
            if recognised is not None:
                return recognised
    return np.ndim(leaf) >= 2


def _names(key: Any) -> list[str]:
    """The names in a key; that of a flattened tree has several."""
    if isinstance(key, tuple):
        return [name for part in key for name in _names(part)]
    return re.split(r"[/.]", key) if isinstance(key, str) else []


def _recognise(name: str) -> bool | None:
    """Whether a name is a weight's (True), another leaf's (False), or unknown."""
    name = re.sub(r"\d+$", "", name).rstrip("_")
    if name in _WEIGHT_LETTERS | _OTHER_LETTERS:
        return name in _WEIGHT_LETTERS
    for word in reversed(name.lower().split("_")):
        if word in _WEIGHT_WORDS | _OTHER_WORDS:
            return word in _WEIGHT_WORDS
    return None


def select(where: Where, tree: PyTree) -> PyTree:
    """Evaluates `where` on a tree.

    Args:
        where: A function ``(path, leaf) -> bool``, or a tree of booleans with the
            structure of `tree` or of a prefix of it.
        tree: The tree.

    Returns:
        A tree of Python booleans with the structure of `tree`.

    Raises:
        ValueError: If the tree of booleans does not fit `tree`.
        TypeError: If a value of it is not one static boolean.
    """
    if callable(where):
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: _static_bool(_called(where, path, leaf)), tree
        )
    try:
        chosen = jax.tree.broadcast(where, tree)
    except ValueError as error:
        raise ValueError(
            "the tree of booleans must have the structure of the parameters or of a "
            f"prefix of them: got {jax.tree.structure(where)} for parameters "
            f"{jax.tree.structure(tree)}."
        ) from error
    return jax.tree.map(_static_bool, chosen)


def _called(where: Callable[..., Any], path: KeyPath, leaf: Any) -> Any:
    try:
        return where(path, leaf)
    except TypeError as error:
        error.add_note(
            "asam_jax calls a mask or `where` for each leaf, as where(path, leaf); "
            "Optax's masks are called once, for the whole tree."
        )
        raise


def partition(tree: PyTree, chosen: PyTree) -> tuple[PyTree, PyTree]:
    """Splits a tree in two, of its structure: chosen leaves, and the others.

    None stands for a leaf that is in the other tree; see `combine`.
    """
    return (
        jax.tree.map(lambda leaf, keep: leaf if keep else None, tree, chosen),
        jax.tree.map(lambda leaf, keep: None if keep else leaf, tree, chosen),
    )


def combine(first: PyTree, second: PyTree) -> PyTree:
    """Puts together what `partition` split."""
    return jax.tree.map(
        lambda a, b: b if a is None else a, first, second, is_leaf=lambda x: x is None
    )


def _static_bool(value: Any) -> bool:
    is_array = isinstance(value, (np.bool_, np.ndarray, jax.Array))
    is_boolean = isinstance(value, bool) or (
        is_array and value.dtype == bool and value.shape == ()
    )
    if isinstance(value, Tracer) or not is_boolean:
        raise TypeError(
            "a mask or `where` must give one Python boolean a leaf, fixed when the "
            f"step is compiled; got {value!r}."
        )
    return bool(value)
