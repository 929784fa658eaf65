"""A validation split cut from the training set."""

from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Two sorted, disjoint index arrays that together cover every example."""

    train: np.ndarray
    validation: np.ndarray


def split_indices(
    seed: int, labels: np.ndarray, num_validation: int, *, stratified: bool = False
) -> Split:
    """Cuts a validation split from a training set.

    Args:
        seed: The split is the same for the same seed and labels.
        labels: The training labels, [num].
        num_validation: The number of validation examples, in [0, num].
        stratified: Give each class its proportional share of the validation split, up
            to rounding (Webster's method), instead of drawing without regard to labels.

    Returns:
        The indices of both parts, int64.
    """
    labels = np.asarray(labels)
    num = len(labels)
    if not 0 <= num_validation <= num:
        raise ValueError(f"cannot cut {num_validation} of {num} examples")
    order = np.random.default_rng(seed).permutation(num)
    if stratified:
        # The k-th example of a class of n ranks at (k + 1/2) / n: the first examples by
        # this rank hold every class in proportion, whatever the number taken.
        rank = np.empty(num)
        for label in np.unique(labels):
            members = labels[order] == label
            count = np.sum(members)
            rank[members] = (np.arange(count) + 0.5) / count
        order = order[np.argsort(rank, kind="stable")]
    return Split(np.sort(order[num_validation:]), np.sort(order[:num_validation]))
