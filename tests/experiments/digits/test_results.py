import numpy as np
import optax

from experiments.digits import report
from experiments.digits.methods import Method
from experiments.digits.results import Result


def method(name, rhos=(0.0,)):
    return Method(
        name, lambda rho: optax.identity(), rhos, epochs=2, gradients_per_step=2
    )


def result(name, last_test, noise_rate=0.4):
    """A result of one rho whose last test accuracy is given, in % [seed]."""
    accuracies = np.array([last_test, last_test])[:, None] / 100
    return Result(method(name), noise_rate, accuracies, accuracies, accuracies)


def test_rho_is_chosen_by_validation_of_the_last_epoch_alone():
    # [epoch, rho, seed]: rho 1 has the best last validation, rho 0 the best test and
    # train accuracy, rho 2 the best validation before.
    validation = np.array([[[0, 0], [0, 0], [99, 99]], [[50, 52], [60, 44], [10, 70]]])
    test = np.array([[[90, 90], [80, 70], [1, 1]], [[95, 95], [60, 75], [2, 2]]])
    validation, test = validation / 100, test / 100
    chosen = Result(method("SAM", (0.1, 0.2, 0.4)), 0.4, test, validation, test)
    assert (chosen.choice.rho, chosen.chosen) == (0.2, 1)
    np.testing.assert_array_equal(chosen.last, [0.6, 0.75])
    np.testing.assert_array_equal(chosen.maximum, [0.8, 0.75])
    assert not chosen.choice.is_at_edge
    record = chosen.record()
    assert record["test_last"]["mean"] == 0.675
    assert record["runs"]["test_maximum"] == [
        [0.95, 0.95],
        [0.8, 0.75],
        [0.02, 0.02],
    ]
    assert record["curves_at_chosen_rho"]["test"] == [0.75, 0.675]


def test_the_smaller_of_two_equally_good_rhos_is_chosen():
    # 693 of 720 are right either way, but the float32 means differ in the last digit.
    counts = np.array([[200, 210, 215], [226, 232, 235], [230, 231, 232]])
    validation = (counts / 240).astype(np.float32)[None]
    for order in ([0, 1, 2], [0, 2, 1]):
        tied = Result(method("SAM", (0.1, 0.2, 0.4)), 0.0, *3 * [validation[:, order]])
        assert tied.choice.rho == 0.2


def test_reading_compares_seed_by_seed():
    # SAM is 2 points lower for every seed, though seeds spread over 20 points.
    text = report.reading(
        [
            result("SGD", [45, 80, 100]),
            result("SAM", [68.1, 78, 87.9]),
            result("ASAM", [70, 80, 90]),
        ]
    )
    assert text == (
        "With 40 % wrong labels ASAM reaches 80.00 ± 5.77 %: "
        "level with SGD (+5.00 ± 10.41 points); above SAM (+2.00 ± 0.06 points)."
    )


def test_reading_says_when_asam_is_behind_or_unsure():
    behind = report.reading(
        [result("SGD", [0, 0]), result("SAM", [92, 93.2]), result("ASAM", [90, 91])]
    )
    assert "below SAM (-2.10 ± 0.10 points)" in behind
    one_seed = report.reading(
        [result("SGD", [0]), result("SAM", [92]), result("ASAM", [90])]
    )
    assert "-2.00 points from SAM, for one seed" in one_seed


def test_table_has_a_row_for_each_result():
    first, _, *rows = report.table(
        [result("SGD", [60, 70]), result("ASAM", [90, 90], noise_rate=0)]
    ).splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert cells == [
        ["40 %", "SGD", "4", "none", "65.00 ± 5.00", "65.00 ± 5.00", "65.00 ± 5.00"],
        ["0 %", "ASAM", "4", "none", "90.00 ± 0.00", "90.00 ± 0.00", "90.00 ± 0.00"],
    ]
    assert len({len(line) for line in [first, *rows]}) == 1
