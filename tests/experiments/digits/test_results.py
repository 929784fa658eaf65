import math

import numpy as np
import optax
import pytest

from experiments.digits import report
from experiments.digits.methods import Method
from experiments.digits.results import Result, estimate


def method(name, rhos=(0.0,)):
    return Method(
        name, lambda rho: optax.identity(), rhos, epochs=2, gradients_per_step=2
    )


def result(name, last_test, noise_rate=0.4):
    """A result of one rho whose test accuracy of the last epoch is given [seed]."""
    accuracies = np.array([last_test, last_test], float)[:, None]
    return Result(method(name), noise_rate, accuracies, accuracies, accuracies)


def test_estimate_is_mean_and_standard_error():
    # The sample variance of 1, 2, 3, 6 is 14 / 3; over 4 seeds, its root is 1.080.
    assert estimate(np.array([1.0, 2, 3, 6])) == pytest.approx((3, math.sqrt(7 / 6)))
    mean, error = estimate(np.array([5.0]))
    assert mean == 5 and math.isnan(error)


def test_rho_is_chosen_by_validation_of_the_last_epoch_alone():
    # [epoch, rho, seed]: rho 1 has the best last validation, rho 0 the best test and
    # train accuracy, rho 2 the best validation before.
    validation = np.array([[[0, 0], [0, 0], [99, 99]], [[50, 52], [60, 44], [10, 70]]])
    test = np.array([[[90, 90], [80, 70], [1, 1]], [[95, 95], [60, 75], [2, 2]]])
    chosen = Result(method("SAM", (0.1, 0.2, 0.4)), 0.4, test, validation, test)
    assert chosen.chosen_rho == 0.2
    np.testing.assert_array_equal(chosen.last, [60, 75])
    np.testing.assert_array_equal(chosen.maximum, [80, 75])
    assert not chosen.chosen_at_edge
    record = chosen.record()
    assert record["test_last"]["mean"] == 67.5
    assert record["runs"]["test_maximum"] == [[95, 95], [80, 75], [2, 2]]
    assert record["curves_at_chosen_rho"]["test"] == [75, 67.5]


def test_reading_compares_seed_by_seed():
    # SAM is 2 points lower for every seed, though seeds spread over 20 points.
    text = report.reading(
        [
            result("SGD", [60, 80, 100]),
            result("SAM", [68.1, 78, 87.9]),
            result("ASAM", [70, 80, 90]),
        ]
    )
    assert text == (
        "With 40 % wrong labels ASAM reaches 80.0 ± 5.8 % and is level with "
        "SGD (+0.0 ± 5.8) and above SAM (+2.0 ± 0.1)."
    )


def test_reading_says_when_asam_is_behind_or_unsure():
    behind = report.reading(
        [result("SGD", [0, 0]), result("SAM", [92, 93.2]), result("ASAM", [90, 91])]
    )
    assert "below SAM (-2.1 ± 0.1)" in behind
    one_seed = report.reading(
        [result("SGD", [0]), result("SAM", [92]), result("ASAM", [90])]
    )
    assert "-2.0 points from SAM (one seed" in one_seed


def test_table_has_a_row_for_each_result():
    first, _, *rows = report.table(
        [result("SGD", [60, 70]), result("ASAM", [90, 90], noise_rate=0)]
    ).splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert cells == [
        ["40 %", "SGD", "4", "none", "65.0 ± 5.0", "65.0 ± 5.0", "65.0 ± 5.0"],
        ["0 %", "ASAM", "4", "none", "90.0 ± 0.0", "90.0 ± 0.0", "90.0 ± 0.0"],
    ]
    assert len({len(line) for line in [first, *rows]}) == 1
