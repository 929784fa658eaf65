import math

import pytest

from experiments.statistics import mean_of


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
