"""The independent sources of chance in a run."""

from typing import NamedTuple

import numpy as np


class Streams(NamedTuple):
    """A seed for each source.

    With one seed for all, draws coincide: the examples chosen for label noise would be
    those chosen for validation.

    Attributes:
        noise: Which labels are wrong.
        split: Which examples are for validation.
        weights: The initial weights.
        order: The order of the training images.
    """

    noise: int
    split: int
    weights: int
    order: int


def streams(seed: int) -> Streams:
    """Derives the streams of a run from its seed."""
    return Streams(*map(int, np.random.SeedSequence(seed).generate_state(4)))
