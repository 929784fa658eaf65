"""The order of training examples as a pure function of a key and the epoch."""

import jax
import jax.numpy as jnp

from experiments.settings_error import SettingsError


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Returns the number of whole batches in an epoch.

    Raises:
        SettingsError: The training set does not fill a batch.
    """
    if num_examples < batch_size:
        raise SettingsError(
            f"{num_examples} examples do not fill a batch of {batch_size}"
        )
    return num_examples // batch_size


def epoch_order(
    key: jax.Array, epoch: int | jax.Array, num_examples: int, batch_size: int
) -> jax.Array:
    """Shuffles the examples of one epoch into batches of one shape.

    No example comes twice in an epoch. The `num_examples % batch_size` that fill no
    batch are dropped; they are others in each epoch. To resume at a step, take
    `divmod(step, steps_per_epoch)` as epoch and row: there is no state to keep.

    Args:
        key: A PRNG key that serves the order alone. The batches are the same for the
            same key and epoch.
        epoch: The epoch, from 0. May be traced.
        num_examples: The size of the training set.
        batch_size: Examples a batch.

    Returns:
        Indices of examples, int32 [steps, batch].

    Raises:
        SettingsError: The training set does not fill a batch.
    """
    steps = steps_per_epoch(num_examples, batch_size)
    order = jax.random.permutation(jax.random.fold_in(key, epoch), num_examples)
    return order[: steps * batch_size].reshape(steps, batch_size).astype(jnp.int32)
