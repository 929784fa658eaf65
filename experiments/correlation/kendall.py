"""Kendall's rank correlation over a grid of hyperparameters."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from experiments.statistics import Mean, mean_of


class Interval(NamedTuple):
    """A statistic and how far to trust it.

    Attributes:
        value: The statistic.
        low: The 2.5th percentile over bootstrap samples.
        high: The 97.5th.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Returns `value [low, high]`."""
        return f"{self.value:z.3f} [{self.low:z.3f}, {self.high:z.3f}]"


def tau(x: np.ndarray, y: np.ndarray) -> float:
    """Returns Kendall's tau-b over the places where both are numbers.

    It is 0 where x or y is the same everywhere, which leaves tau-b undefined.
    """
    known = ~np.isnan(x + y)
    x, y = x[known], y[known]
    if len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return 0.0
    found: Any = stats.kendalltau(x, y)
    return float(found.statistic)


def granulated(x: np.ndarray, y: np.ndarray, axis: int) -> Mean:
    r"""Returns Jiang et al.'s granulated coefficient of one hyperparameter.

    .. math::
        \psi_i = \operatorname{mean}_{\theta_j, j \ne i} \,
        \tau \{ (x_\theta, y_\theta) : \theta_i \text{ varies} \}

    The models of each tau differ in hyperparameter i alone, so that no other can
    explain the correlation. Where fewer than two of them are known, there is no tau.

    Args:
        x: A measure of every model; NaN for a model that is missing. An axis for each
            hyperparameter, and for what else the models differ in.
        y: Their generalization gaps, like x.
        axis: That of hyperparameter i.

    Returns:
        The mean, and its standard error over the taus; NaN where there is no tau.

    References:
        Jiang et al., `Fantastic Generalization Measures and Where to Find Them
        <https://arxiv.org/abs/1912.02178>`_, 2020, section 3.
    """
    sets = (np.moveaxis(v, axis, -1).reshape(-1, v.shape[axis]) for v in (x, y))
    taus = [
        tau(of_x, of_y)
        for of_x, of_y in zip(*sets, strict=True)
        if np.sum(~np.isnan(of_x + of_y)) >= 2
    ]
    return mean_of(taus) if taus else Mean(math.nan, math.nan, 0)


def bootstrap(
    statistic: Callable[[np.ndarray], float], num: int, resamples: int
) -> Interval:
    """Returns a statistic with its 95 % percentile interval.

    Args:
        statistic: From indices below `num`, which may repeat, to a number.
        num: The number of things that are resampled.
        resamples: The number of bootstrap samples; they are the same at every call.
    """
    everything = np.arange(num)
    rng = np.random.default_rng(0)
    samples = [statistic(rng.choice(num, num)) for _ in range(resamples)]
    low, high = np.percentile(samples, [2.5, 97.5])
    return Interval(statistic(everything), float(low), float(high))
