import math

import pytest

from experiments.statistics import Mean, mean_of, verdict


def test_the_standard_error_is_of_the_mean():
    mean = mean_of([0.9, 0.92, 0.97])
    assert mean.mean == pytest.approx(0.93)
    deviation = math.sqrt((0.03**2 + 0.01**2 + 0.04**2) / 2)
    assert mean.standard_error == pytest.approx(deviation / math.sqrt(3))
    assert mean.num == 3
    assert mean.percent() == "93.00 ± 2.08"


def test_one_seed_has_no_standard_error():
    mean = mean_of([0.5])
    assert math.isnan(mean.standard_error)
    assert mean.percent() == "50.00"


def test_a_difference_is_told_in_points_with_its_sign():
    assert Mean(0.123, 0.004, 3).points() == "+12.30 ± 0.40 points"
    assert mean_of([-0.5]).points() == "-50.00 points"
    assert Mean(-1e-9, 0.01, 2).points() == "+0.00 ± 1.00 points"


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        (0.31, "above"),
        (0.29, "level with"),
        (0.0, "level with"),
        (-0.29, "level with"),
        (-0.31, "below"),
    ],
)
def test_a_difference_counts_beyond_three_standard_errors(mean, expected):
    assert verdict(Mean(mean, 0.1, 3)) == expected


def test_seeds_that_agree_have_no_error():
    assert verdict(mean_of([0.5, 0.5])) == "above"
    assert verdict(mean_of([0.0, 0.0])) == "level with"


def test_one_seed_decides_nothing():
    with pytest.raises(ValueError, match="two seeds"):
        verdict(mean_of([0.5]))
