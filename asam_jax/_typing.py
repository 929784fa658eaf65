"""Names of the types in the public signatures."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax

PyTree: TypeAlias = Any
"""A tree of arrays: parameters, gradients, scales."""

KeyPath: TypeAlias = tuple[Any, ...]
"""Where a leaf stands in its tree, as `jax.tree_util` names it."""

Normalization: TypeAlias = Callable[[PyTree], PyTree]
"""Parameters to the diagonal of T_w: a tree of scales that broadcast to the leaves."""

Where: TypeAlias = PyTree | Callable[[KeyPath, Any], bool]
"""A tree of booleans (or a prefix of one), or a function of a leaf's path and value."""

GradFn: TypeAlias = Callable[[PyTree], PyTree]
"""Parameters to the gradients of the loss, and nothing else."""

Rho: TypeAlias = jax.typing.ArrayLike | Callable[[jax.Array], jax.typing.ArrayLike]
"""The radius of the ball, or a schedule of it: step to radius."""
