"""A mean over seeds, and how far to trust it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


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


def mean_of(values: Sequence[float] | np.ndarray) -> Mean:
    """Returns the mean of values, one a seed."""
    num = len(values)
    deviation = np.std(values, ddof=1) if num > 1 else math.nan
    return Mean(float(np.mean(values)), float(deviation / math.sqrt(num)), num)
