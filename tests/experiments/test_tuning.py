import pytest

from experiments.tuning import Choice, check_grids, choose, chosen_runs


def test_the_best_mean_over_seeds_is_chosen():
    tried = [(0.1, 0.9), (0.1, 0.2), (0.4, 0.5), (0.4, 0.7), (0.9, 0.3), (0.9, 0.4)]
    assert choose(tried) == choose(tried[::-1]) == Choice(0.4, is_at_edge=False)


def test_the_smaller_of_two_best_radii_is_chosen_in_any_order():
    tried = [(4.0, 0.6), (0.5, 0.5), (1.0, 0.6)]
    assert choose(tried).rho == choose(tried[::-1]).rho == 1.0


def test_rounding_breaks_no_tie():
    # The larger mean by a digit that float32 does not hold.
    assert choose([(0.1, 0.6), (0.4, 0.6 + 1e-8), (0.9, 0.1)]).rho == 0.1
    assert choose([(0.1, 0.6), (0.4, 0.6 + 1e-5), (0.9, 0.1)]).rho == 0.4


@pytest.mark.parametrize(
    ("best", "text"), [(0.1, "0.1 (edge)"), (0.4, "0.4"), (0.9, "0.9 (edge)")]
)
def test_the_ends_of_a_grid_are_marked(best, text):
    choice = choose((rho, -abs(rho - best)) for rho in (0.4, 0.9, 0.1))
    assert choice.text() == text


def test_one_radius_has_no_edge():
    assert choose([(0.0, 0.5)]) == Choice(0.0, is_at_edge=False)
    assert choose([(0.0, 0.5)]).text() == "-"
    assert choose([(0.5, 0.5), (0.5, 0.7)]).text() == "0.5"


def test_one_seed_chooses_for_all():
    runs = [
        {"rho": 0.1, "seed": 5, "bleu": 20.0},
        {"rho": 0.4, "seed": 5, "bleu": 30.0},
        {"rho": 0.1, "seed": 0, "bleu": 99.0},
        {"rho": 0.4, "seed": 0, "bleu": 1.0},
    ]
    assert chosen_runs(runs, "bleu", 5) == (Choice(0.4, True), [runs[1], runs[3]])
    assert chosen_runs(runs, "bleu", 7) is None


@pytest.mark.parametrize("asam", [(1.0, 2.0), ()])
def test_grids_of_different_lengths_are_refused(asam):
    check_grids({"--sam-rhos": (0.1, 0.2), "--asam-rhos": (1.0, 2.0)})
    message = f"--sam-rhos and --asam-rhos must be equally long .* 1 and {len(asam)}"
    with pytest.raises(ValueError, match=message):
        check_grids({"--sam-rhos": (0.1,), "--asam-rhos": asam})


def test_grids_of_nothing_are_refused():
    with pytest.raises(ValueError, match="not empty"):
        check_grids({"--sam-rhos": (), "--asam-rhos": ()})


@pytest.mark.parametrize("rhos", [(0.1, 0.1), (0.0, 0.1), (-1.0, 0.1)])
def test_a_radius_is_positive_and_comes_once(rhos):
    with pytest.raises(
        ValueError, match="--sam-rhos must be positive, each value once"
    ):
        check_grids({"--sam-rhos": rhos, "--asam-rhos": (1.0, 2.0)})
