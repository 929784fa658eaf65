"""Splitting the arguments of a loss into groups of the batch."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._typing import PyTree


def group_arguments(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    num_groups: int,
    batch_argnums: int | Sequence[int] | None,
) -> tuple[PyTree, Callable[[PyTree], tuple[tuple[Any, ...], dict[str, Any]]]]:
    """Splits the batch into m groups and gives each its own random keys.

    Args:
        args: The positional arguments after params.
        kwargs: The keyword arguments; they are never split.
        num_groups: The number of groups, m.
        batch_argnums: The positions of the arguments to split on axis 0, where 1 is the
            first of `args`; None for all.

    Returns:
        What differs between groups, each array with a leading axis of m, and a function
        from one group's part of that to the group's ``(args, kwargs)``.

    Raises:
        ValueError: If a batch argument has no axis 0, the lengths of axis 0 differ, m
            does not divide them, or nothing is split.
    """
    positions = range(1, len(args) + 1)
    if batch_argnums is not None:
        chosen = [batch_argnums] if isinstance(batch_argnums, int) else batch_argnums
        if not set(chosen) <= set(positions):
            raise ValueError(
                f"batch_argnums={batch_argnums!r} must count positional arguments "
                f"after params, 1 to {len(args)}."
            )
        positions = chosen
    leaves, structure = jax.tree.flatten((args, kwargs))
    in_batch = jax.tree.leaves(
        (
            [_constant(i in positions, arg) for i, arg in enumerate(args, start=1)],
            _constant(False, kwargs),
        )
    )
    to_split = [
        i
        for i, (leaf, batch) in enumerate(zip(leaves, in_batch, strict=True))
        if batch and not (_is_key(leaf) and jnp.ndim(leaf) == 0)
    ]
    _check_divisible([leaves[i] for i in to_split], num_groups)
    grouped = {i: _split(leaves[i], num_groups) for i in to_split}
    grouped |= {
        i: _fold(leaf, num_groups)
        for i, leaf in enumerate(leaves)
        if _is_key(leaf) and i not in grouped
    }

    def arguments_of_group(part: PyTree) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return jax.tree.unflatten(
            structure, [part.get(i, leaf) for i, leaf in enumerate(leaves)]
        )

    return grouped, arguments_of_group


def _constant(value: bool, tree: PyTree) -> PyTree:
    return jax.tree.map(lambda _: value, tree)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(
        leaf.dtype, jax.dtypes.prng_key
    )


def _check_divisible(leaves: list[Any], num_groups: int) -> None:
    if any(jnp.ndim(leaf) == 0 for leaf in leaves):
        raise ValueError(
            "a batch argument has a leaf without axes, which cannot be split into "
            "groups: name the arguments that hold the batch with batch_argnums."
        )
    sizes = {jnp.shape(leaf)[0] for leaf in leaves}
    if len(sizes) != 1:
        raise ValueError(
            f"the batch arguments must agree on the length of axis 0, got "
            f"{sorted(sizes)}: name those that hold the batch with batch_argnums."
        )
    (size,) = sizes
    if size % num_groups or size == 0:
        raise ValueError(
            f"num_groups={num_groups} does not divide the batch of {size} examples."
        )


def _split(leaf: Any, num_groups: int) -> jax.Array:
    leaf = jnp.asarray(leaf)
    return leaf.reshape(num_groups, leaf.shape[0] // num_groups, *leaf.shape[1:])


def _fold(key: jax.Array, num_groups: int) -> jax.Array:
    fold_in = jax.random.fold_in
    for _ in range(key.ndim):
        fold_in = jax.vmap(fold_in, in_axes=(0, None))
    return jax.vmap(fold_in, in_axes=(None, 0))(key, jnp.arange(num_groups))
