"""A mean over seeds, and how far to trust it."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

NUM_ERRORS = 3
"""Standard errors within which a difference counts as none. For three seeds that is a
p-value of 0.1, for five of 0.04, for twelve of 0.01."""


class Mean(NamedTuple):
    """A mean and its standard error over seeds."""

    mean: float
    standard_error: float
    """NaN for one seed."""
    num: int

    def percent(self) -> str:
        """Returns `mean ± standard error` of a share, in %."""
        return Mean(100 * self.mean, 100 * self.standard_error, self.num).text()

    def text(self) -> str:
        """Returns `mean ± standard error`, or the one value."""
        if self.num == 1:
            return f"{self.mean:.2f}"
        return f"{self.mean:.2f} ± {self.standard_error:.2f}"

    def points(self) -> str:
        """Returns a difference of shares with its sign, in percent points."""
        mean = f"{100 * self.mean:+z.2f}"
        if self.num == 1:
            return f"{mean} points"
        return f"{mean} ± {100 * self.standard_error:.2f} points"


def mean_of(values: Sequence[float] | np.ndarray) -> Mean:
    """Returns the mean of values, one a seed."""
    num = len(values)
    deviation = np.std(values, ddof=1) if num > 1 else math.nan
    return Mean(float(np.mean(values)), float(deviation / math.sqrt(num)), num)


def verdict(difference: Mean) -> Literal["above", "level with", "below"]:
    """Tells on which side of 0 a difference lies, if on any.

    Args:
        difference: Taken seed by seed.

    Raises:
        ValueError: If there is one seed alone, from which nothing follows.
    """
    if difference.num < 2:
        raise ValueError("a verdict needs two seeds at least")
    if abs(difference.mean) <= NUM_ERRORS * difference.standard_error:
        return "level with"
    return "above" if difference.mean > 0 else "below"
