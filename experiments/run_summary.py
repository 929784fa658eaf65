"""What a report says of a finished run of a classifier."""

from typing import Any

from experiments.runs import Run


def summary(run: Run) -> dict[str, Any]:
    """Returns rho, seed, and accuracies and loss of the last epoch, for JSON.

    Accuracies are shares of examples. The maximum over epochs is of the test.
    """
    test = run.series("test", "accuracy")
    return {
        "rho": run.config["ascent"]["rho"],
        "seed": run.config["seed"],
        "last_test_accuracy": test[-1],
        "max_test_accuracy": max(test),
        "last_validation_accuracy": last_validation_accuracy(run),
        "last_train_loss": run.series("train", "loss")[-1],
        "last_train_accuracy": run.series("train", "accuracy")[-1],
    }


def last_validation_accuracy(run: Run) -> float:
    """Returns what chooses rho."""
    return run.series("validation", "accuracy")[-1]
