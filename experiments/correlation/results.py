"""All models of a study, as arrays over the grid."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.correlation.config import Study
from experiments.correlation.grid import Hyperparameters
from experiments.correlation.measures import Sharpnesses, measures


class Results(NamedTuple):
    """What is known of every model.

    Arrays of floats, [seed, batch size, learning rate, weight decay, dropout].

    Attributes:
        steps: At which the training loss was first seen below the target; -1 if never.
        train_loss: Mean cross-entropy on the training labels as given.
        train_error: The share of them that is not predicted.
        test_loss: On clean test labels.
        test_error: On clean test labels.
        sharpness: Arrays with two more axes [..., measure, rho]; NaN for a model that
            never reached the target.
    """

    steps: np.ndarray
    train_loss: np.ndarray
    train_error: np.ndarray
    test_loss: np.ndarray
    test_error: np.ndarray
    sharpness: Sharpnesses

    @property
    def reached(self) -> np.ndarray:
        """Whether a model reached the target."""
        return self.steps >= 0

    @property
    def error_gap(self) -> np.ndarray:
        """Test error minus training error; NaN where the target was not reached."""
        return self.of_reached(self.test_error - self.train_error)

    @property
    def loss_gap(self) -> np.ndarray:
        """Test loss minus training loss; NaN where the target was not reached."""
        return self.of_reached(self.test_loss - self.train_loss)

    def of_reached(self, values: np.ndarray) -> np.ndarray:
        """Returns the values with NaN where the target was not reached."""
        return np.where(self.reached, values, np.nan)


def columns(results: Results, study: Study) -> dict[str, Any]:
    """Returns lists over all models, for JSON."""
    settings = itertools.product(study.seeds, *study.grid.axes)
    names = ("seed", *Hyperparameters._fields)
    table: dict[str, Any] = dict(
        zip(names, map(list, zip(*settings, strict=True)), strict=True)
    )
    table |= {name: _list(getattr(results, name)) for name in Results._fields[:-1]}
    table |= {"error_gap": _list(results.error_gap)}
    table |= {"loss_gap": _list(results.loss_gap)}
    return table | {
        f"{measure.name}, rho = {rho:g}": {
            kind: _list(values[..., i, j])
            for kind, values in results.sharpness._asdict().items()
        }
        for i, measure in enumerate(measures(study))
        for j, rho in enumerate(measure.rhos)
    }


def _list(values: np.ndarray) -> Sequence[float]:
    return [float(f"{value:.6g}") for value in values.ravel()]
