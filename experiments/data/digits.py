"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, in its wheel."""

from typing import NamedTuple

import numpy as np
from sklearn import datasets

from experiments.data.images import ImageSet

NUM_CLASSES = 10


class DigitSplits(NamedTuple):
    """Three disjoint parts of the digits."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


def load_digits(seed: int, *, num_train: int, num_validation: int) -> DigitSplits:
    """Shuffles the digits and cuts them into three parts.

    Args:
        seed: The parts are the same for the same seed and sizes. The test part does not
            depend on how the others share the rest.
        num_train: The number of training examples.
        num_validation: The number of validation examples.

    Returns:
        The parts, images float32 [num, 8, 8, 1] in [0, 1], labels int32 [num]; what is
        neither for training nor for validation is the test part.
    """
    pixels, labels = datasets.load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    labels = labels.astype(np.int32)
    if min(num_train, num_validation) < 0 or num_train + num_validation > len(labels):
        raise ValueError(
            f"cannot cut {num_train} + {num_validation} of {len(labels)} digits"
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    parts = np.split(order, [num_train, num_train + num_validation])
    return DigitSplits(*(ImageSet(images[part], labels[part]) for part in parts))
