"""Kendall's rank correlation over a grid of hyperparameters."""

import math
from typing import Any

import numpy as np
from scipy import stats

from experiments.statistics import Mean, mean_of


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


def resampled_taus(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns `tau` of bootstrap samples, all at once.

    Two copies of a model are tied in x and in y, so that tau-b leaves the pair out.

    Args:
        x: [model], NaN where unknown.
        y: [model], NaN where unknown.
        counts: How often each model is in each sample, [sample, model].

    Returns:
        A tau for each sample, [sample].
    """
    known = ~np.isnan(x + y)
    x, y, counts = x[known], y[known], counts[:, known]
    of_x, of_y = (np.sign(values[:, None] - values[None]) for values in (x, y))
    total = lambda pairs: np.sum(counts @ pairs * counts, axis=1)
    untied = np.sqrt(total(abs(of_x)) * total(abs(of_y)))
    return total(of_x * of_y) / np.where(untied > 0, untied, 1)


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
