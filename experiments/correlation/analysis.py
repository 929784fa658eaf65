"""From all models to the correlations that are reported."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.correlation.config import Study
from experiments.correlation.kendall import granulated, resampled_taus, tau
from experiments.correlation.measures import Measure, measures
from experiments.correlation.results import Results
from experiments.statistics import Mean


class Interval(NamedTuple):
    """A statistic with its 95 % bootstrap interval, by percentiles."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Returns `value [low, high]`."""
        return f"{self.value:z.3f} [{self.low:z.3f}, {self.high:z.3f}]"


class Correlation(NamedTuple):
    """How a measure goes with the generalization gap.

    Attributes:
        tau: Kendall's tau over the grid, the mean over seeds.
        psi: The granulated coefficient of each hyperparameter, over all seeds.
    """

    tau: Interval
    psi: tuple[Mean, ...]

    @property
    def mean_psi(self) -> float:
        """Jiang et al.'s Psi."""
        return float(np.mean([psi.mean for psi in self.psi]))


@dataclasses.dataclass(frozen=True)
class Radius:
    """A measure at one radius.

    Attributes:
        measure: The measure.
        rho: The radius.
        median: The median of the measure over models.
        converged: The share of ascents within their tolerance.
        error_gap: Its correlation with the gap in error.
        loss_gap: Its tau with the gap in loss.
        first_order: The tau of the first-order point's rise with the gap in error.
    """

    measure: Measure
    rho: float
    median: float
    converged: float
    error_gap: Correlation
    loss_gap: float
    first_order: float


def radii(results: Results, study: Study) -> list[list[Radius]]:
    """Returns what is found of each measure at each of its radii."""

    def radius(measure: Measure, rho: float, i: int, j: int) -> Radius:
        worst, first_order, converged = (
            values[..., i, j] for values in results.sharpness
        )
        return Radius(
            measure,
            rho,
            median=float(np.nanmedian(worst)),
            converged=float(np.nanmean(converged)),
            error_gap=correlation(worst, results.error_gap, study.resamples),
            loss_gap=mean_tau(worst, results.loss_gap),
            first_order=mean_tau(first_order, results.error_gap),
        )

    return [
        [radius(measure, rho, i, j) for j, rho in enumerate(measure.rhos)]
        for i, measure in enumerate(measures(study))
    ]


def middle(of_measure: Sequence[Radius]) -> Radius:
    """Returns the radius of the table."""
    return of_measure[len(of_measure) // 2]


def correlation(x: np.ndarray, y: np.ndarray, resamples: int) -> Correlation:
    """Correlates a measure and a gap, both [seed, hyperparameter, ...]."""
    return Correlation(
        _interval(mean_tau(x, y), _resampled(x, y, resamples)),
        tuple(granulated(x, y, axis) for axis in range(1, x.ndim)),
    )


def difference(
    x: np.ndarray, other: np.ndarray, y: np.ndarray, resamples: int
) -> Interval:
    """Returns by how much x correlates better with y than the other measure does."""
    return _interval(
        mean_tau(x, y) - mean_tau(other, y),
        _resampled(x, y, resamples) - _resampled(other, y, resamples),
    )


def mean_tau(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the mean over seeds of tau over the grid."""
    return float(np.mean([tau(of_x, of_y) for of_x, of_y in _by_seed(x, y)]))


def _resampled(x: np.ndarray, y: np.ndarray, resamples: int) -> np.ndarray:
    """Returns `mean_tau` of bootstrap samples, the same ones at every call.

    What is resampled are the points of the grid, with the models of all seeds at each.
    """
    num = x[0].size
    counts = np.random.default_rng(0).multinomial(num, np.full(num, 1 / num), resamples)
    taus = [resampled_taus(of_x, of_y, counts) for of_x, of_y in _by_seed(x, y)]
    return np.mean(taus, axis=0)


def _by_seed(x: np.ndarray, y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(of_x.ravel(), of_y.ravel()) for of_x, of_y in zip(x, y, strict=True)]


def _interval(value: float, samples: np.ndarray) -> Interval:
    low, high = np.percentile(samples, [2.5, 97.5])
    return Interval(value, float(low), float(high))
