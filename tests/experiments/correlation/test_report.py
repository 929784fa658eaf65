import dataclasses
import itertools

import numpy as np
import pytest

from experiments.correlation.analysis import correlation, mean_tau, middle, radii
from experiments.correlation.figure import draw
from experiments.correlation.report import (
    granulated_reading,
    markdown,
    radii_table,
    reading,
    table,
)
from experiments.correlation.results import columns

from .tiny import STUDY, results_of

TWO_SEEDS = dataclasses.replace(STUDY, seeds=(0, 1), resamples=200)
SHAPE = (2, 2, 2, 2, 2)


def example():
    """Adaptive sharpness is the gap's order, plain its opposite; one model missing."""
    gap = np.random.default_rng(0).permutation(32).reshape(SHAPE) / 100
    worst = np.stack([-gap, gap, -gap, gap], axis=-1)[..., None] + np.arange(1, 4)
    gap[0, 0, 0, 0, 0] = worst[0, 0, 0, 0, 0] = np.nan
    return results_of(gap, worst)


def test_tau_is_the_mean_over_seeds_and_never_compares_models_of_two():
    gap = np.array([[1.0, 2.0, 3.0], [11.0, 12.0, 13.0]])
    measure = np.array([[7.0, 8.0, 9.0], [1.0, 3.0, 2.0]])
    assert mean_tau(measure, gap) == pytest.approx((1 + 1 / 3) / 2)
    interval = correlation(measure, gap, 1000).tau
    assert interval.value == pytest.approx(2 / 3)
    # A sample may leave out any model, and may have one model alone, with a tau of 0.
    assert (interval.low, interval.high) == (0, 1)


def test_psi_is_taken_over_the_sets_of_all_seeds():
    gap = np.array([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]])
    measure = np.array([[[1.0, 2.0], [3.0, 4.0]], [[2.0, 1.0], [3.0, 4.0]]])
    found = correlation(measure, gap, 10)
    assert found.psi[0] == (1, 0, 4)
    assert found.psi[1].mean == pytest.approx((1 + 1 - 1 + 1) / 4)
    assert found.mean_psi == pytest.approx((1 + 0.5) / 2)


def test_each_radius_has_its_own_values():
    results = example()
    found = radii(results, TWO_SEEDS)
    assert [[radius.rho for radius in row] for row in found][:2] == [
        [0.1, 0.2, 0.3],
        [0.4, 0.5, 0.6],
    ]
    plain, adaptive = middle(found[0]), middle(found[1])
    assert (plain.rho, adaptive.rho) == (0.2, 0.5)
    assert plain.error_gap.tau == pytest.approx((-1, -1, -1))
    assert adaptive.error_gap.tau == pytest.approx((1, 1, 1))
    assert (adaptive.loss_gap, adaptive.first_order) == pytest.approx((-1, -1))
    assert adaptive.converged == 1
    assert [psi.num for psi in adaptive.error_gap.psi] == [15] * 4
    reached = results.sharpness.worst[results.reached][:, 1]
    np.testing.assert_allclose([r.median for r in found[1]], np.median(reached, axis=0))


def test_the_table_has_ours_beside_the_papers():
    found = [middle(row) for row in radii(example(), TWO_SEEDS)]
    header, _, tau_row, *psi_rows, mean_row = table(found).splitlines()
    assert header.count("paper (unverified)") == 4
    assert tau_row == (
        "| tau | -1.000 [-1.000, -1.000] | 1.000 [1.000, 1.000] | "
        "-1.000 [-1.000, -1.000] | 1.000 [1.000, 1.000] | 0.174 | 0.636 | 0.257 | "
        "0.616 |"
    )
    assert len(psi_rows) == 4
    assert "| psi dropout | -1.00 ± 0.00 | 1.00 ± 0.00 |" in psi_rows[-1]
    assert "-1.00 | 1.00 | -1.00 | 1.00 | 0.259" in mean_row
    assert len(radii_table(found).splitlines()) == 2 + 4


def test_the_reading_follows_the_numbers():
    results = example()
    text = reading(TWO_SEEDS, results)
    assert text.count("better than plain sharpness: tau 1.00 against -1.00") == 2
    assert "a difference of 2.000 [2.000, 2.000]" in text
    worst = results.sharpness.worst[..., ::-1, :]
    swapped = results._replace(sharpness=results.sharpness._replace(worst=worst))
    assert reading(TWO_SEEDS, swapped).count("worse than plain sharpness") == 2
    same = results.sharpness.worst[..., [0, 0, 2, 2], :]
    level = results._replace(sharpness=results.sharpness._replace(worst=same))
    assert reading(TWO_SEEDS, level).count("neither better nor worse") == 2


def test_the_granulated_reading_names_what_is_two_standard_errors_from_0():
    gap = np.random.default_rng(0).uniform(size=SHAPE)
    batch, rate, *_ = np.indices(SHAPE[1:])
    gap += 10 * batch + 3 * rate  # these two decide
    measure = gap - 20 * batch  # and batch size the other way
    noise = np.random.default_rng(1).uniform(size=SHAPE)
    worst = np.stack([measure, measure, noise, noise], axis=-1)[..., None] + np.zeros(3)
    found = [middle(row) for row in radii(results_of(gap, worst), TWO_SEEDS)]
    text = granulated_reading(found)
    assert "smaller gap for batch size (2 of 4)" in text
    rises = text.partition("smaller gap")[0]
    for name in ("learning rate", "weight decay", "dropout"):
        assert f"{name} (2 of 4 measures)" in rises


def test_the_caption_counts_what_is_left_out():
    results = example()
    text = markdown(TWO_SEEDS, results, radii(results, TWO_SEEDS))
    assert "31 models of 32" in text
    assert "1 did not get there" in text


def test_the_columns_are_in_the_order_of_the_grid():
    results = example()
    table = columns(results, TWO_SEEDS)
    for i, (seed, *values) in enumerate(
        itertools.product((0, 1), *TWO_SEEDS.grid.axes)
    ):
        assert table["seed"][i] == seed
        names = ("batch_size", "learning_rate", "weight_decay", "dropout")
        assert [table[name][i] for name in names] == values
    np.testing.assert_allclose(table["error_gap"], results.error_gap.ravel())
    of_measure = table["adaptive, p = 2, rho = 0.5"]["worst"]
    np.testing.assert_allclose(of_measure, results.sharpness.worst[..., 1, 1].ravel())


def test_the_figure_is_drawn(tmp_path):
    results = example()
    path = tmp_path / "figure.png"
    draw(TWO_SEEDS, results, radii(results, TWO_SEEDS), path)
    assert path.read_bytes().startswith(b"\x89PNG")
