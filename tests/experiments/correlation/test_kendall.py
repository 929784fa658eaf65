import math

import numpy as np
import pytest

from experiments.correlation.kendall import granulated, resampled_taus, tau

NAN = math.nan


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1, 2, 3], [10, 20, 30], 1),
        ([1, 2, 3], [30, 20, 10], -1),
        ([1, 2, 3], [20, 10, 30], 1 / 3),  # two pairs agree, one does not
        ([1, 2, 2], [10, 20, 30], 2 / math.sqrt(2 * 3)),  # tau-b: one pair of x is tied
        ([1, 2], [20, 10], -1),
        ([1, NAN, 2, 3], [10, 0, 20, 30], 1),
        ([1, 9, 2, 3], [10, NAN, 20, 30], 1),
        ([1, 1, 1], [10, 20, 30], 0),
        ([1, 2, 3], [10, 10, NAN], 0),
    ],
)
def test_tau_counts_pairs(x, y, expected):
    assert tau(np.array(x, float), np.array(y, float)) == pytest.approx(expected)


def test_tau_is_that_of_counting_over_all_pairs():
    rng = np.random.default_rng(0)
    x, y = rng.integers(6, size=(2, 40)).astype(float)
    product = differences = 0
    tied = {"x": 0, "y": 0}
    for i in range(40):
        for j in range(i):
            dx, dy = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
            product += dx * dy
            differences += 1
            tied["x"] += dx == 0
            tied["y"] += dy == 0
    expected = product / math.sqrt(
        (differences - tied["x"]) * (differences - tied["y"])
    )
    assert tau(x, y) == pytest.approx(expected)


# A measure of two values of hyperparameter 0 (rows) and three of 1 (columns).
MEASURE = np.array([[1.0, 2.0, 3.0], [6.0, 5.0, 4.0]])
GAP = np.array([[1.0, 3.0, 2.0], [4.0, 5.0, 6.0]])


def test_granulated_coefficients_by_hand():
    # Hyperparameter 0: every column rises with the gap. Taus 1, 1, 1.
    psi = granulated(MEASURE, GAP, 0)
    assert psi == (1, 0, 3)
    # Hyperparameter 1: taus (2 - 1) / 3 and -1.
    psi = granulated(MEASURE, GAP, 1)
    assert psi.mean == pytest.approx((1 / 3 - 1) / 2)
    assert psi.standard_error == pytest.approx(np.std([1 / 3, -1], ddof=1) / 2**0.5)
    assert psi.num == 2


def test_a_missing_model_leaves_its_sets_smaller_and_the_others_as_they_are():
    measure = MEASURE.copy()
    measure[0, 1] = NAN
    assert granulated(measure, GAP, 0) == (1, 0, 2)  # the middle column has one left
    assert granulated(measure, GAP, 1).mean == pytest.approx((1 - 1) / 2)
    gap = np.where(np.isnan(measure), NAN, GAP)
    assert granulated(MEASURE, gap, 1).mean == pytest.approx((1 - 1) / 2)


def test_granulated_coefficients_ignore_the_other_hyperparameters():
    # The measure follows the gap within each row, and runs against it between rows:
    # tau over all models is negative, psi of hyperparameter 1 is 1.
    measure = np.array([[1.0, 2.0, 3.0], [-9.0, -8.0, -7.0]])
    gap = np.array([[1.0, 2.0, 3.0], [11.0, 12.0, 13.0]])
    assert tau(measure.ravel(), gap.ravel()) < 0
    assert granulated(measure, gap, 1).mean == 1
    assert granulated(measure, gap, 0).mean == -1


def test_nothing_known_gives_nan():
    psi = granulated(np.full((2, 2), NAN), np.ones((2, 2)), 0)
    assert math.isnan(psi.mean)
    assert psi.num == 0


def test_taus_of_bootstrap_samples_are_those_of_repeated_models():
    rng = np.random.default_rng(0)
    x, y = rng.integers(9, size=(2, 12)).astype(float)
    x[3] = y[5] = NAN
    drawn = rng.integers(12, size=(20, 12))
    drawn[0] = 7  # one model, again and again
    counts = np.stack([np.bincount(sample, minlength=12) for sample in drawn])
    expected = [tau(x[sample], y[sample]) for sample in drawn]
    np.testing.assert_allclose(resampled_taus(x, y, counts), expected, atol=1e-12)
    assert expected[0] == 0
