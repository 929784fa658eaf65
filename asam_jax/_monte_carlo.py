"""Estimates from random samples."""

from collections.abc import Sequence

import numpy as np


def check_num_samples(num_samples: int) -> None:
    """Refuses a number of samples that has no standard error."""
    if num_samples < 2:
        raise ValueError(f"num_samples must be at least 2, got {num_samples}.")


def mean_and_standard_error(samples: Sequence[float]) -> tuple[float, float]:
    """Returns the mean of at least two samples, and its standard error."""
    standard_error = np.std(samples, ddof=1) / np.sqrt(len(samples))
    return float(np.mean(samples)), float(standard_error)
