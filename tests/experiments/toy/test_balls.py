import math

import numpy as np
import pytest
from scipy.optimize import minimize

from experiments.toy.balls import BALLS, METHODS, NORMS, POINTS, RHO, Ball, loss


def largest_loss(method, centre, p) -> float:
    return float(loss(Ball(method, centre, p, RHO).worst()))


def scales(ball: Ball) -> np.ndarray:
    return np.ones(2) if ball.method == "SAM" else np.abs(ball.centre)


def test_the_points_have_the_same_loss_and_a_gradient():
    assert loss(np.array(POINTS[0])) == loss(np.array(POINTS[1])) == 0.25
    assert len(BALLS) == len(POINTS) * len(METHODS) * len(NORMS) == 8


@pytest.mark.parametrize("ball", BALLS)
def test_the_boundary_is_that_of_the_ball(ball):
    offsets = ball.boundary(np.linspace(0, 7, 50)) - ball.centre
    lengths = np.linalg.norm(offsets / scales(ball), ball.p, axis=-1)
    np.testing.assert_allclose(lengths, RHO, rtol=1e-6)


@pytest.mark.parametrize("ball", BALLS)
def test_nothing_in_the_ball_is_worse(ball):
    steps = np.random.default_rng(0).uniform(-1, 1, size=(200_000, 2))
    inside = steps[np.linalg.norm(steps, ball.p, axis=-1) <= 1]
    found = loss(ball.centre + RHO * scales(ball) * inside)
    worst = float(loss(ball.worst()))
    assert 0.98 * worst < np.max(found) <= worst + 1e-6


@pytest.mark.parametrize("centre", POINTS)
def test_the_largest_loss_of_sam_is_that_of_constrained_optimization(centre):
    found = minimize(
        lambda w: -loss(w),
        np.add(centre, 0.1),
        constraints={
            "type": "ineq",
            "fun": lambda w: RHO**2 - np.sum((w - centre) ** 2),
        },
        tol=1e-12,
    )
    assert largest_loss("SAM", centre, 2) == pytest.approx(-found.fun, abs=1e-6)


def test_the_largest_loss_in_closed_form():
    for centre in POINTS:
        # w1 w2 (1 + a) (1 + b) is the same product for all a and b in the ball.
        for p, growth in ((2.0, 1 + RHO / math.sqrt(2)), (math.inf, 1 + RHO)):
            expected = (growth**2 - 0.5) ** 2
            found = largest_loss("ASAM, eta 0", centre, p)
            assert found == pytest.approx(expected, abs=1e-6)
        corner = np.add(centre, RHO)
        assert largest_loss("SAM", centre, math.inf) == pytest.approx(
            loss(corner), abs=1e-6
        )


@pytest.mark.parametrize("p", NORMS)
def test_only_the_ball_of_asam_is_as_bad_at_both_points(p):
    asam = [largest_loss("ASAM, eta 0", centre, p) for centre in POINTS]
    sam = [largest_loss("SAM", centre, p) for centre in POINTS]
    assert abs(asam[0] - asam[1]) < 1e-6
    assert sam[1] > 1.5 * sam[0]
    assert sam[0] == pytest.approx(asam[0], abs=1e-6)  # T = 1 at (1, 1) in both.


@pytest.mark.parametrize("ball", BALLS)
def test_the_library_climbs_to_the_worst_point_up_to_first_order(ball):
    worst, climbed = float(loss(ball.worst())), float(loss(ball.climbed()))
    if (ball.method, ball.centre, ball.p) == ("SAM", POINTS[1], 2):
        assert 0.98 * worst < climbed < worst
    else:
        assert climbed == pytest.approx(worst, abs=2e-6)
