"""Batches of one shape in which every example counts exactly once."""

from typing import NamedTuple

import numpy as np


class EvaluationBatches(NamedTuple):
    """The examples in order, padded to whole batches.

    A mean over the examples is `sum(weights * values) / sum(weights)`, both sums taken
    over all batches, and on all devices and processes.

    Attributes:
        indices: Which example stands where, int32 [steps, batch]; example 0 in padding.
        weights: 1 for an example and 0 for padding, float32 [steps, batch].
    """

    indices: np.ndarray
    weights: np.ndarray


def evaluation_batches(
    num_examples: int, batch_size: int, *, num_shards: int = 1
) -> EvaluationBatches:
    """Lays out an evaluation set in batches, the ragged tail included.

    Args:
        num_examples: The size of the evaluation set.
        batch_size: Examples a batch on all shards together; rounded up to a multiple of
            `num_shards`.
        num_shards: Devices (or processes) that share a batch in equal parts. On several
            processes, each takes its own columns, so that all make the same steps.

    Returns:
        The batches, host arrays.
    """
    batch_size = -(-batch_size // num_shards) * num_shards
    steps = -(-num_examples // batch_size)
    position = np.arange(steps * batch_size).reshape(steps, batch_size)
    real = position < num_examples
    return EvaluationBatches(
        np.where(real, position, 0).astype(np.int32), real.astype(np.float32)
    )
