import json

import pytest

from experiments.frontier.results import read_study, write_study
from experiments.statistics import Mean
from experiments.tuning import Choice
from tests.experiments.frontier.made_up import result, study, tuned


def test_rho_is_chosen_by_validation_on_the_tuning_seeds():
    found = study(
        [
            result("asam", 0.1, 0, validation=0.6, test=0.1),
            result("asam", 0.4, 0, validation=0.5, test=0.9),
            # Another seed and another method have no say.
            result("asam", 0.4, 1, validation=0.99),
            result("sam", 0.4, 0, validation=0.99),
        ]
    )
    assert found.choice("asam") == Choice(0.1, is_at_edge=True)
    assert [run.test for run in found.chosen("asam")] == [0.1]


def test_several_tuning_seeds_choose_by_their_mean():
    validation = {0.1: [0.6, 0.1], 0.4: [0.5, 0.4]}
    runs = [
        result("asam", rho, seed, validation=x)
        for rho, accuracies in validation.items()
        for seed, x in enumerate(accuracies)
    ]
    chosen = study(runs, tuning_seeds=(0, 1)).choice("asam")
    assert chosen == Choice(0.4, is_at_edge=True)
    assert study(runs[:-1], tuning_seeds=(0, 1)).choice("asam") is None


def test_nothing_is_chosen_before_all_is_tried():
    found = study([result("asam", 0.1, 0)])
    assert found.choice("asam") is None
    assert found.chosen("asam") == []


def test_of_two_best_the_smaller_rho_is_chosen():
    found = study([result("asam", rho) for rho in (0.4, 0.1)])
    assert found.choice("asam") == Choice(0.1, is_at_edge=True)
    assert study([result("sgd", 0.0)]).choice("sgd") == Choice(0.0, is_at_edge=False)


def test_a_difference_is_taken_seed_by_seed():
    found = study([*tuned("asam", [0.5, 0.7, 0.1]), *tuned("sgd", [0.4, 0.2])])
    assert found.difference("asam", "sgd") == pytest.approx(Mean(0.3, 0.2, 2))
    assert found.difference("asam", "sam") is None


def test_the_frontier_holds_what_nothing_as_cheap_exceeds():
    found = study(
        [
            *tuned("sgd", [0.3]),
            *tuned("msam", [0.4]),
            *tuned("asam-every10", [0.35]),
            *tuned("asam-part4", [0.5]),
            *tuned("asam-late", [0.6]),
            *tuned("sam", [0.6]),
            *tuned("asam", [0.7]),
        ]
    )
    assert found.frontier() == ["msam", "asam-late", "asam"]


def test_a_study_is_read_back_as_it_was_written(tmp_path):
    found = study([*tuned("sgd", [0.4, 0.2]), *tuned("asam", [0.5])])
    path = tmp_path / "new" / "frontier-digits.json"
    write_study(path, found, {"commit": "abc"})
    again = read_study(path)
    assert sorted(again.results) == sorted(found.results)
    assert again.costs == found.costs
    assert again.choice("asam") == Choice(0.4, is_at_edge=True)
    assert json.loads(path.read_text())["commit"] == "abc"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
