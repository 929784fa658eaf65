import json
import pathlib

import pytest

from experiments import study
from experiments.runs import Run
from experiments.settings_error import SettingsError
from experiments.study import SmallStudy, best_rho, command, finish_all, result_of
from experiments.training.config import Ascent

STUDY = SmallStudy(
    data_dir="D",
    run_dir="R",
    num_train=300,
    num_validation=200,
    epochs=8,
    batch_size=32,
)


def test_a_config_is_that_of_the_study():
    ascent = Ascent(rho=0.1)
    config = STUDY.config("name", ascent, 0.4, epochs=16)
    assert (config.name, config.net, config.ascent) == ("name", "small", ascent)
    assert (config.epochs, config.batch_size, config.label_smoothing) == (16, 32, 0)
    data = config.data
    assert (data.dataset, data.augmentation, data.shrink) == ("cifar10", "none", 2)
    assert (data.num_train, data.num_validation, data.noise_rate) == (300, 200, 0.4)


def test_every_config_and_seed_is_a_job_of_its_own():
    configs = [STUDY.config(name, Ascent(), 0.0, 8) for name in ("a", "b")]
    jobs = STUDY.jobs(configs, iter((5, 0)))
    assert [(job.config.name, job.seed) for job in jobs] == [
        *(("a", 5), ("a", 0), ("b", 5), ("b", 0))
    ]
    assert {(job.options.data_dir, job.options.run_dir) for job in jobs} == {("D", "R")}
    assert jobs[0].cadence.eval_every == 2


def test_settings_are_json():
    record = json.loads(json.dumps(STUDY.record()))
    assert (record["out"], record["epochs"]) == ("runs", 8)


def test_runs_are_handed_over_as_they_finish(monkeypatch):
    jobs = STUDY.jobs([STUDY.config("a", Ascent(), 0.0, 8)], (0, 1))
    monkeypatch.setattr(study, "finish", lambda jobs, workers: iter([workers, *jobs]))
    seen = []
    finish_all(jobs, 7, seen.append)
    assert seen == [7, *jobs]


def test_the_smaller_of_two_best_radii_is_chosen_in_any_order():
    tried = [(0.6, 4.0), (0.5, 0.5), (0.6, 1.0)]
    assert best_rho(tried) == best_rho(tried[::-1]) == 1.0


def test_a_result_is_that_of_the_last_epoch_with_the_maximum():
    config = {"seed": 3, "ascent": {"rho": 0.5}}
    lines = [
        {"split": "train", "accuracy": 0.1, "loss": 3.0},
        {"split": "validation", "accuracy": 0.2},
        {"split": "test", "accuracy": 0.9},
        {"split": "train", "accuracy": 0.6, "loss": 2.0},
        {"split": "validation", "accuracy": 0.4},
        {"split": "test", "accuracy": 0.5},
    ]
    assert result_of(Run(pathlib.Path(), config, lines)) == {
        "rho": 0.5,
        "seed": 3,
        "last_test_accuracy": 0.5,
        "max_test_accuracy": 0.9,
        "last_validation_accuracy": 0.4,
        "last_train_loss": 2.0,
        "last_train_accuracy": 0.6,
    }


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SettingsError("no such rho"), "error: no such rho"),
        (FileNotFoundError("no data"), "error: no data"),
        (KeyboardInterrupt(), "the same command goes on"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(monkeypatch, error, message):
    def main(options):
        assert options.epochs == 3
        raise error

    monkeypatch.setattr("sys.argv", ["study", "--epochs", "3"])
    with pytest.raises(SystemExit, match=message):
        command(SmallStudy, main, "")


def test_a_fault_of_the_code_keeps_its_traceback(monkeypatch):
    def main(options):
        raise ValueError("shapes do not fit")

    monkeypatch.setattr("sys.argv", ["study"])
    with pytest.raises(ValueError, match="shapes do not fit"):
        command(SmallStudy, main, "")
