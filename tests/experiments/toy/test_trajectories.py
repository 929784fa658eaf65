import numpy as np
import pytest

from experiments.toy.trajectories import (
    METHODS,
    NORMALIZATIONS,
    NUM_STEPS,
    RHOS,
    STARTS,
    smallest_w2,
    stuck_from,
    trajectory,
)

FIRST, SECOND = STARTS
ETA = {"ASAM, eta 0": 0.0, "ASAM, eta 0.01": 0.01}


def descend(method: str, start, rho: float = 0.05) -> np.ndarray:
    """100 steps in float64, with gradients and ascent by hand."""

    def gradient(w):
        if w[1] <= 0:
            return np.zeros(2)
        return np.sign(w[0] * w[1] - 0.04) * w[::-1]

    way = [np.array(start)]
    for _ in range(100):
        w = way[-1]
        g = gradient(w)
        scale = np.abs(w) + ETA[method] if method in ETA else np.ones(2)
        norm = np.linalg.norm(scale * g)
        eps = 0 * w if method == "SGD" else rho * scale**2 * g / norm
        way.append(w - 0.05 * gradient(w + eps))
    return np.array(way)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("method", METHODS)
def test_the_way_is_that_of_numpy(method, start):
    way = trajectory(method, start)
    np.testing.assert_allclose(way.weights, descend(method, start), atol=1e-5)
    assert len(way.weights) == NUM_STEPS + 1 == 101


def test_sam_drifts_along_the_valley_from_the_first_start():
    way = trajectory("SAM", FIRST)
    np.testing.assert_allclose(way.weights[-1], [0.207, 0.195], atol=5e-4)
    assert not way.is_stuck


def test_sam_is_stuck_at_the_second_start():
    way = trajectory("SAM", SECOND)
    assert way.is_stuck
    np.testing.assert_allclose(way.losses, 0.04 - 0.3 * 0.0333, atol=1e-6)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("method", ETA)
def test_asam_comes_close_to_zero_loss_from_both(method, start):
    way = trajectory(method, start)
    assert np.max(way.losses[50:]) < 0.006
    assert not way.is_stuck


@pytest.mark.parametrize("start", STARTS)
def test_without_eta_w2_stays_positive_below_the_square_root_of_2(start):
    assert RHOS[-1] < np.sqrt(2)
    assert min(smallest_w2("ASAM, eta 0", start)) == pytest.approx(start[1])
    assert not trajectory("ASAM, eta 0", start, 1.41).is_stuck
    assert trajectory("ASAM, eta 0", start, 1.42).is_stuck


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("method", NORMALIZATIONS)
def test_the_radius_from_which_a_method_is_stuck(method, start):
    w1, w2 = start
    scale = np.abs(start) + ETA[method] if method in ETA else np.ones(2)
    # Below the valley g = -(w2, w1): the second weight of w + eps is 0 at this rho.
    expected = w2 * np.hypot(scale[0] * w2, scale[1] * w1) / (scale[1] ** 2 * w1)
    rho = stuck_from(method, start)
    assert rho == pytest.approx(expected, rel=1e-4)
    assert not trajectory(method, start, 0.999 * rho).is_stuck
    assert trajectory(method, start, 1.001 * rho).is_stuck


def test_with_eta_asam_is_stuck_from_about_1():
    assert stuck_from("ASAM, eta 0.01", FIRST) == pytest.approx(1.107, abs=1e-3)
    assert stuck_from("ASAM, eta 0.01", SECOND) == pytest.approx(0.982, abs=1e-3)
