"""From all models to the correlations that are reported."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.correlation.config import Study
from experiments.correlation.kendall import Interval, bootstrap, granulated, tau
from experiments.correlation.measures import Measure, measures
from experiments.correlation.results import Results
from experiments.statistics import Mean


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
        _bootstrapped(lambda chosen: mean_tau(x, y, chosen), x, resamples),
        tuple(granulated(x, y, axis) for axis in range(1, x.ndim)),
    )


def difference(
    x: np.ndarray, other: np.ndarray, y: np.ndarray, resamples: int
) -> Interval:
    """Returns by how much x correlates better with y than the other measure does."""
    return _bootstrapped(
        lambda chosen: mean_tau(x, y, chosen) - mean_tau(other, y, chosen), x, resamples
    )


def mean_tau(
    x: np.ndarray, y: np.ndarray, chosen: np.ndarray | slice = np.s_[:]
) -> float:
    """Returns the mean over seeds of tau over the chosen points of the grid."""
    seeds = (values.reshape(len(values), -1)[:, chosen] for values in (x, y))
    return float(np.mean([tau(*of_seed) for of_seed in zip(*seeds, strict=True)]))


def _bootstrapped(statistic, x, resamples) -> Interval:
    """Resamples points of the grid, with the models of all seeds at each."""
    return bootstrap(statistic, x[0].size, resamples)
