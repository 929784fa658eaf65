"""The independent sources of chance in a run, as random keys."""

from typing import NamedTuple

import jax


class RunKeys(NamedTuple):
    """A key for each purpose of a run.

    No key is both split and folded, nor serves two: `jax.random.split(key)[i]` is
    `jax.random.fold_in(key, i)`, so that what two purposes draw would coincide.
    """

    init: jax.Array
    """The initial parameters."""
    order: jax.Array
    """The order of the training images, in which the epoch is folded."""
    steps: jax.Array
    """The steps, in which the number of the step is folded."""
    statistics: jax.Array
    """The batches from which BatchNorm statistics are estimated anew."""


class StepKeys(NamedTuple):
    """A key for each purpose of a step."""

    prepare: jax.Array
    """Augmentation."""
    source: jax.Array
    """A random direction to climb."""
    loss: jax.Array
    """Dropout and ShakeDrop, the same in all passes of the step."""


def run_keys(seed: int | jax.Array) -> RunKeys:
    """Derives the keys of a run from its seed."""
    return RunKeys(*jax.random.split(jax.random.key(seed), len(RunKeys._fields)))


def step_keys(steps: jax.Array, step: int | jax.Array) -> StepKeys:
    """Derives the keys of a step from `RunKeys.steps` and its number."""
    key = jax.random.fold_in(steps, step)
    return StepKeys(*jax.random.split(key, len(StepKeys._fields)))
