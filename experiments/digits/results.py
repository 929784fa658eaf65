"""From the accuracies of all runs to what is reported."""

from typing import Any, NamedTuple

import numpy as np

from experiments.digits.methods import Method
from experiments.statistics import Mean, mean_of
from experiments.tuning import Choice, choose


class Result(NamedTuple):
    """All runs of a method at a noise rate; accuracies in [0, 1], [epoch, rho, seed].

    Attributes:
        method: The method.
        noise_rate: The share of wrong labels outside the test set.
        train: Accuracy on the training labels as given.
        validation: Accuracy on the validation labels as given.
        test: Accuracy on the clean test labels.
    """

    method: Method
    noise_rate: float
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def choice(self) -> Choice:
        """The rho with the best validation accuracy in the last epoch."""
        return choose(
            (rho, float(accuracy))
            for rho, accuracies in zip(
                self.method.rhos, self.validation[-1], strict=True
            )
            for accuracy in accuracies
        )

    @property
    def chosen(self) -> int:
        """The index of that rho."""
        return self.method.rhos.index(self.choice.rho)

    @property
    def last(self) -> np.ndarray:
        """Test accuracy of the last epoch at the chosen rho [seed]: the headline."""
        return self.test[-1, self.chosen]

    @property
    def maximum(self) -> np.ndarray:
        """The highest test accuracy over epochs at the chosen rho [seed].

        It is chosen with the test labels, hence optimistic: as the paper reports it.
        """
        return np.max(self.test[:, self.chosen], axis=0)

    def record(self) -> dict[str, Any]:
        """Returns the runs for JSON: lists [rho][seed], curves as means over seeds."""
        return {
            "method": self.method.name,
            "noise_rate": self.noise_rate,
            "epochs": self.method.epochs,
            "gradients_per_step": self.method.gradients_per_step,
            "rhos": list(self.method.rhos),
            "chosen_rho": self.choice.rho,
            "test_last": _record(mean_of(self.last)),
            "test_maximum": _record(mean_of(self.maximum)),
            "runs": {
                "train_last": _rounded(self.train[-1]),
                "validation_last": _rounded(self.validation[-1]),
                "test_last": _rounded(self.test[-1]),
                "test_maximum": _rounded(np.max(self.test, axis=0)),
            },
            "curves_at_chosen_rho": {
                name: _rounded(np.mean(accuracy[:, self.chosen], axis=-1))
                for name, accuracy in [
                    ("train", self.train),
                    ("validation", self.validation),
                    ("test", self.test),
                ]
            },
        }


def _record(mean: Mean) -> dict[str, float]:
    return {"mean": mean.mean, "standard_error": mean.standard_error}


def _rounded(values: np.ndarray) -> list:
    return np.round(values.astype(np.float64), 4).tolist()
