"""Sharpness of a model, plain and adaptive, in both norms."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

import asam_jax
from experiments.correlation.config import Study
from experiments.correlation.nets import Params
from experiments.data.images import ImageSet


class Measure(NamedTuple):
    """A sharpness with its radii.

    Attributes:
        name: As in the table.
        is_adaptive: Whether T_w is that of the paper, or the identity.
        p: The norm of the ball.
        rhos: The radii.
    """

    name: str
    is_adaptive: bool
    p: float
    rhos: tuple[float, ...]


class Sharpnesses(NamedTuple):
    """All measures of a model, or of several on leading axes.

    Attributes:
        worst: The rise to the highest point of the ball, [measure, rho].
        first_order: The rise to the paper's first-order point, [measure, rho].
        converged: Whether the ascent to the highest point ended within its tolerance,
            1 or 0, [measure, rho].
    """

    worst: np.ndarray
    first_order: np.ndarray
    converged: np.ndarray


def measures(study: Study) -> list[Measure]:
    """Returns the paper's four measures, in the order of its table."""
    return [
        Measure("sharpness, p = 2", False, 2, study.plain_l2_rhos),
        Measure("adaptive, p = 2", True, 2, study.adaptive_l2_rhos),
        Measure("sharpness, p = ∞", False, math.inf, study.plain_inf_rhos),
        Measure("adaptive, p = ∞", True, math.inf, study.adaptive_inf_rhos),
    ]


def measure_model(
    loss_fn: Callable[[Params, ImageSet], jax.Array],
    params: Params,
    train: list[ImageSet],
    study: Study,
) -> Sharpnesses:
    """Measures one model on its training set, in batches.

    `loss_fn` is to be the same function for all models: it is compiled once.
    """

    def sharpness(measure: Measure, rho: float, num_steps: int) -> asam_jax.Sharpness:
        adaptive = asam_jax.elementwise(study.eta)
        return asam_jax.sharpness(
            loss_fn,
            params,
            rho=rho,
            batches=train,
            normalization=adaptive if measure.is_adaptive else asam_jax.identity(),
            p=measure.p,
            num_steps=num_steps,
            tolerance=study.tolerance,
        )

    def of_all(num_steps: int) -> list[list[asam_jax.Sharpness]]:
        return [
            [sharpness(measure, rho, num_steps) for rho in measure.rhos]
            for measure in measures(study)
        ]

    worst, first_order = of_all(study.num_steps), of_all(0)
    return Sharpnesses(
        worst=_array(worst, "value"),
        first_order=_array(first_order, "value"),
        converged=_array(worst, "converged"),
    )


def missing(study: Study) -> Sharpnesses:
    """Returns NaN for a model that cannot be measured."""
    shape = (len(measures(study)), len(study.plain_l2_rhos))
    return Sharpnesses(*[np.full(shape, np.nan)] * len(Sharpnesses._fields))


def _array(found: list[list[asam_jax.Sharpness]], field: str) -> np.ndarray:
    return np.array([[getattr(s, field) for s in row] for row in found], float)
