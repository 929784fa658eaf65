import dataclasses
import math
import pathlib

import pytest

from experiments import normalization, small_cifar10
from experiments.normalization import Study, config_of, configs_of
from experiments.runs import Run
from experiments.training.config import to_json

STUDY = Study(
    elementwise=(1.0, 4.0),
    elementwise_with_bias=(2.0, 8.0),
    elementwise_inf=(0.01, 0.04),
    filterwise=(0.1, 0.4),
    layerwise=(1.0, 5.0),
    seeds=(5,),
    epochs=16,
)


def make_run(scheme, rho, seed=5, *, validation=0.5, test=0.5) -> Run:
    """Returns a finished run as it would be read back."""
    config = config_of(STUDY, scheme, rho)
    lines = [
        {"split": "train", "epoch": 16, "accuracy": 0.25, "loss": 1.0},
        {"split": "validation", "epoch": 16, "accuracy": validation},
        {"split": "test", "epoch": 8, "accuracy": 0.9},
        {"split": "test", "epoch": 16, "accuracy": test},
    ]
    return Run(pathlib.Path(config.name), {"seed": seed, **to_json(config)}, lines)


def test_the_schemes_differ_by_the_ball_alone():
    configs = {config.name: config for config in configs_of(STUDY)}
    assert len(configs) == 1 + 5 * 2
    ascents = {name: config.ascent for name, config in configs.items()}
    assert ascents["noise40-sgd-rho0"].rho == 0
    expected = {
        "noise40-elementwise-rho4": ("elementwise", 4.0, 2),
        "noise40-elementwise-with-bias-rho8": ("elementwise-with-bias", 8.0, 2),
        "noise40-elementwise-inf-rho0.04": ("elementwise", 0.04, math.inf),
        "noise40-filterwise-rho0.4": ("filterwise", 0.4, 2),
        "noise40-layerwise-rho5": ("layerwise", 5.0, 2),
    }
    for name, (shape, rho, p) in expected.items():
        ascent = ascents[name]
        assert (ascent.normalization, ascent.rho, ascent.p) == (shape, rho, p)
        assert ascent.eta == 0.01
    alike = {
        dataclasses.replace(config, name="", ascent=ascents["noise40-sgd-rho0"])
        for config in configs.values()
    }
    assert len(alike) == 1


def test_grids_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        Study(filterwise=(0.1,))
    with pytest.raises(ValueError, match="at least one seed"):
        Study(seeds=())


def test_every_point_is_trained_and_reported(monkeypatch, tmp_path, capsys):
    trained = []

    def finish(jobs, workers):
        for job in jobs:
            trained.append((job.config.name, job.seed))
            rho = job.config.ascent.rho
            shape = job.config.name.removeprefix("noise40-").partition("-rho")[0]
            yield make_run(shape, rho, job.seed, validation=0.4 + rho / 100)

    monkeypatch.setattr(small_cifar10, "finish", finish)
    normalization.main(dataclasses.replace(STUDY, out=tmp_path))
    assert trained == [(config.name, 5) for config in configs_of(STUDY)]
    report = (tmp_path / "normalization.md").read_text()
    assert "| filter-wise, p = 2 | 0.4 (edge) | 0.1, 0.4 | 1 |" in report
    assert report in capsys.readouterr().out
