import dataclasses
import pathlib

import pytest

from experiments import label_noise, small_cifar10
from experiments.label_noise import Study, config_of, grids
from experiments.runs import Run

STUDY = Study(sam_rhos=(0.1, 0.4), asam_rhos=(1.0, 4.0), seeds=(5, 0), epochs=8)


def make_run(method, rho, seed, *, noise_rate=0.4, validation=0.5, test=0.5) -> Run:
    """Returns a finished run as it would be read back."""
    config = config_of(STUDY, method, noise_rate, rho)
    record = {
        "seed": seed,
        "name": config.name,
        "epochs": config.epochs,
        "ascent": {"rho": rho},
        "data": {"noise_rate": noise_rate},
    }
    lines = [
        {"split": "validation", "epoch": 4, "accuracy": 1 - validation},
        {"split": "test", "epoch": 4, "accuracy": 0.9},
        {"split": "train", "epoch": 8, "accuracy": 0.25, "loss": 1.0},
        {"split": "validation", "epoch": 8, "accuracy": validation},
        {"split": "test", "epoch": 8, "accuracy": test},
    ]
    return Run(pathlib.Path(config.name), record, lines)


def test_the_methods_are_compared_alike():
    sgd, double, sam, asam = (
        config_of(STUDY, method, 0.4, rhos[-1]) for method, rhos in grids(STUDY).items()
    )
    assert (sgd.epochs, double.epochs, sam.epochs, asam.epochs) == (8, 16, 8, 8)
    assert [c.ascent.rho for c in (sgd, double, sam, asam)] == [0, 0, 0.4, 4.0]
    assert (sam.ascent.normalization, asam.ascent.normalization) == (
        "identity",
        "elementwise",
    )
    assert sgd.data == double.data == sam.data == asam.data
    assert (sgd.data.num_validation, sgd.data.noise_rate) == (1000, 0.4)
    assert sgd.data.augmentation == "none"


def test_grids_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        Study(sam_rhos=(0.1,), asam_rhos=(1.0, 4.0))
    with pytest.raises(ValueError, match="at least one seed"):
        Study(seeds=())


def test_the_first_seed_tries_all_and_the_others_run_at_the_chosen_rho(
    monkeypatch, tmp_path, capsys
):
    trained = []

    def finish(jobs, workers):
        for job in jobs:
            rho = job.config.ascent.rho
            method = job.config.name.partition("-")[2].partition("-rho")[0]
            trained.append((method, rho, job.seed))
            yield make_run(
                method, rho, job.seed, validation=0.6 if rho < 1 else rho / 10
            )

    monkeypatch.setattr(small_cifar10, "finish", finish)
    label_noise.main(dataclasses.replace(STUDY, noise_rates=(0.4,), out=tmp_path))
    first = [("sgd", 0), ("sgd-2x", 0), ("sam", 0.1), ("sam", 0.4)]
    first += [("asam", 1.0), ("asam", 4.0)]
    last = [("sgd", 0), ("sgd-2x", 0), ("sam", 0.1), ("asam", 4.0)]
    assert trained == [(*x, 5) for x in first] + [(*x, 0) for x in last]
    report = (tmp_path / "label_noise.md").read_text()
    assert "| SAM | 0.1 (edge) | 2 |" in report
    assert "| ASAM | 4 (edge) | 2 |" in report
    assert report in capsys.readouterr().out
