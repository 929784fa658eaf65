import pathlib

from experiments.run_summary import last_validation_accuracy, summary
from experiments.runs import Run


def test_a_summary_is_of_the_last_epoch_with_the_maximum():
    config = {"seed": 3, "ascent": {"rho": 0.5}}
    lines = [
        {"split": "train", "accuracy": 0.1, "loss": 3.0},
        {"split": "validation", "accuracy": 0.2},
        {"split": "test", "accuracy": 0.9},
        {"split": "train", "accuracy": 0.6, "loss": 2.0},
        {"split": "validation", "accuracy": 0.4},
        {"split": "test", "accuracy": 0.5},
    ]
    run = Run(pathlib.Path(), config, lines)
    assert summary(run) == {
        "rho": 0.5,
        "seed": 3,
        "last_test_accuracy": 0.5,
        "max_test_accuracy": 0.9,
        "last_validation_accuracy": 0.4,
        "last_train_loss": 2.0,
        "last_train_accuracy": 0.6,
    }
    assert last_validation_accuracy(run) == 0.4
