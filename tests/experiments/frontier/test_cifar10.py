import dataclasses
import pathlib

import pytest

from experiments import label_noise, small_cifar10
from experiments.frontier import cifar10
from experiments.frontier.cifar10 import RHOS, Cifar10, config_of
from experiments.frontier.methods import METHODS
from experiments.frontier.results import read_study
from experiments.runs import Run
from experiments.training.config import to_json

OPTIONS = Cifar10(seeds=(5, 0))


@pytest.mark.parametrize("method", label_noise.grids(label_noise.Study()))
def test_runs_of_label_noise_are_those_of_this_study(method):
    theirs = label_noise.Study()
    assert RHOS[method] == label_noise.grids(theirs)[method]
    for rho in RHOS[method]:
        expected = label_noise.config_of(theirs, method, 0.4, rho)
        assert config_of(OPTIONS, method, rho) == expected


def test_runs_have_folders_of_their_own():
    configs = [config_of(OPTIONS, m, rho) for m, rhos in RHOS.items() for rho in rhos]
    assert len({config.name for config in configs}) == len(configs)
    every5 = config_of(OPTIONS, "asam-every5", 4.0)
    assert every5.name == "noise40-asam-every5-rho4"
    assert every5.ascent == METHODS["asam-every5"].ascent(4.0)


def finished(config, seed) -> Run:
    """Returns a finished run; the smallest rho of each method is the best."""
    lines = [
        {"split": "train", "epoch": 32, "accuracy": 0.25, "loss": 1.0},
        {"split": "validation", "epoch": 32, "accuracy": -config.ascent.rho},
        {"split": "test", "epoch": 16, "accuracy": 0.9},
        {"split": "test", "epoch": 32, "accuracy": 0.5},
    ]
    record = {"seed": seed, **to_json(config)}
    return Run(pathlib.Path(config.name), record, lines)


def test_the_first_seed_tries_all_and_the_others_run_at_the_chosen_rho(
    monkeypatch, tmp_path
):
    trained = []

    def finish(jobs, workers):
        for job in jobs:
            trained.append((job.config, job.seed))
            yield finished(job.config, job.seed)

    monkeypatch.setattr(small_cifar10, "finish", finish)
    # A report after each of 80 runs is tested elsewhere.
    monkeypatch.setattr(cifar10, "write_report", lambda out: None)
    cifar10.main(dataclasses.replace(OPTIONS, out=tmp_path))
    first = [(m, rho, 5) for m, rhos in RHOS.items() for rho in rhos]
    last = [(m, rhos[0], 0) for m, rhos in RHOS.items()]
    assert trained == [(config_of(OPTIONS, m, rho), s) for m, rho, s in first + last]
    found = read_study(tmp_path / "frontier-cifar10.json")
    assert found.tuning_seeds == [5]
    assert sorted(r[:3] for r in found.results) == sorted(first + last)
    (run,) = (r for r in found.results if r[:3] == ("asam", 1.0, 0))
    assert run[3:] == (0.5, 0.9, -1.0, 0.25)


def test_a_study_of_no_seed_is_refused():
    with pytest.raises(ValueError, match="at least one seed"):
        Cifar10(seeds=())
