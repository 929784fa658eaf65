"""Projected gradient ascent to the highest loss in a ball."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ._ball import Ball, euclidean_norm, inner
from ._center import Center
from ._normalization import identity
from ._perturbation import perturbation
from ._typing import PyTree

_GROW, _SHRINK = 2.0, 0.25
_MAX_TRIALS = 12
_SUFFICIENT = 1e-4  # share of the rise of the linear model that a step must make


class Limits(NamedTuple):
    """How long to look for the highest point.

    Attributes:
        num_steps: The most steps from each start.
        tolerance: Of the promise of the ball against the rise found.
        num_restarts: The random starts, besides the first-order point.
    """

    num_steps: int
    tolerance: float
    num_restarts: int


class Point(NamedTuple):
    """A point of the ball.

    Attributes:
        delta: Where it is.
        loss: L(w + T delta).
        grads: The gradient with respect to delta.
        gap: What the ball promises beyond it, see `Ball.linear_gap`.
    """

    delta: PyTree
    loss: float
    grads: PyTree
    gap: float


def highest_point(
    around: Center, ball: Ball, limits: Limits, key: jax.Array | None
) -> tuple[Point, Point]:
    """Returns the center, and the highest end of the ascents from all starts.

    Raises:
        ValueError: If the loss or its gradient is not finite at a point visited.
    """
    clean = _evaluate(around, ball, jax.tree.map(jnp.zeros_like, around.params))
    start = _evaluate(around, ball, _first_order_point(clean, ball))
    if limits.num_steps > 0 and start.loss < clean.loss:
        start = clean
    ends = [_climb(around, ball, start, clean.loss, limits)]
    for restart_key in (
        [] if key is None else jax.random.split(key, limits.num_restarts)
    ):
        delta = ball.draw(restart_key, around.scales)
        start = _evaluate(around, ball, delta)
        ends.append(_climb(around, ball, start, clean.loss, limits))
    return clean, max(ends, key=lambda end: end.loss)


def _first_order_point(clean: Point, ball: Ball) -> PyTree:
    """The paper's perturbation; T is in the gradient already, and the ball round."""
    return perturbation(
        clean.delta, clean.grads, ball.rho, normalization=identity(), p=ball.p
    )


def _climb(
    around: Center, ball: Ball, point: Point, clean_loss: float, limits: Limits
) -> Point:
    """Ascends until the ball promises little more, or no step rises."""
    norm = float(euclidean_norm(point.grads))
    step = ball.euclidean_radius(around.num_axes) / norm if norm > 0 else 0.0
    for _ in range(limits.num_steps):
        if point.gap <= limits.tolerance * (point.loss - clean_loss):
            break
        higher, step = _rise(around, ball, point, step)
        if higher is None:
            break
        point, step = higher, _GROW * step
    return point


def _rise(
    around: Center, ball: Ball, point: Point, step: float
) -> tuple[Point | None, float]:
    """Takes one step, shortened until it makes its share of the promised rise."""
    for _ in range(_MAX_TRIALS):
        delta, promised = _step(ball, point.delta, point.grads, step)
        trial = _evaluate(around, ball, delta)
        if trial.loss - point.loss >= _SUFFICIENT * float(promised) > 0:
            return trial, step
        step *= _SHRINK
    return None, step


def _evaluate(around: Center, ball: Ball, delta: PyTree) -> Point:
    loss, grads = around.loss.value_and_grad(around.displaced(delta))
    grads, gap = _in_coordinates(ball, delta, grads, around.scales)
    if not np.isfinite([loss, gap]).all():
        raise ValueError(
            f"the loss or its gradient is not finite at a point of the ball of rho="
            f"{ball.rho}: the loss there is {loss}. Measure with a smaller rho."
        )
    return Point(delta, loss, grads, float(gap))


@jax.jit
def _in_coordinates(ball, delta, grads, scales):
    grads = jax.tree.map(jnp.multiply, scales, grads)
    return grads, ball.linear_gap(grads, delta)


@jax.jit
def _step(ball, delta, grads, step):
    higher = ball.project(jax.tree.map(lambda d, g: d + step * g, delta, grads))
    move = jax.tree.map(jnp.subtract, higher, delta)
    return higher, inner(grads, move)
