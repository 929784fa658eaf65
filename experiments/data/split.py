"""A validation split cut from the training set."""

from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Two sorted, disjoint index arrays that together cover every example."""

    train: np.ndarray
    validation: np.ndarray


def split_indices(seed: int, num_examples: int, num_validation: int) -> Split:
    """Cuts a validation split from a training set.

    Args:
        seed: The split is the same for the same seed and sizes.
        num_examples: The size of the training set.
        num_validation: The number of validation examples.

    Returns:
        The indices of both parts, int64.

    Raises:
        ValueError: The training set has not so many examples.
    """
    if not 0 <= num_validation <= num_examples:
        raise ValueError(f"cannot cut {num_validation} of {num_examples} examples")
    order = np.random.default_rng(seed).permutation(num_examples)
    return Split(np.sort(order[num_validation:]), np.sort(order[:num_validation]))
