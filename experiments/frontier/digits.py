"""The methods on scikit-learn's digits: the demo's data and settings, more seeds."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from experiments.digits.config import Config
from experiments.frontier.digits_training import (
    NUM_EVALUATIONS,
    Accuracies,
    draw,
    program,
)
from experiments.frontier.methods import METHODS
from experiments.frontier.report import write_report
from experiments.frontier.results import Result, Study, read_study, write_study
from experiments.provenance import provenance
from experiments.settings_error import SettingsError

RHOS = {
    "sgd": (0.0,),
    "sgd-2x": (0.0,),
    "sam": (0.2, 0.28, 0.35, 0.42, 0.5, 0.6, 0.72),
    "asam": (0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5),
    "asam-momentum": (2.0, 2.8, 3.4, 4.0, 4.7, 5.5, 6.5),
    "asam-every5": (1.0, 1.4, 1.7, 2.0, 2.3, 2.7, 3.2),
    "asam-norm": (0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8),
    "asam-late": (1.0, 1.5, 2.0, 2.4, 2.8, 3.3, 4.0),
    "asam-part4": (0.7, 0.9, 1.1, 1.3, 1.5, 1.8, 2.2),
    "asam-every2": (1.2, 1.5, 1.8, 2.1, 2.4, 2.8, 3.3),
    "asam-every10": (1.0, 1.5, 1.8, 2.1, 2.4, 2.7, 3.2),
    "asam-stale": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
    "asam-random": (4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 17.0),
    "msam": (1.0, 1.5, 2.0, 2.4, 2.8, 3.3, 4.0),
}
"""Seven radii a method, from where a probe with the first three seeds gained little to
where it broke down."""


@dataclasses.dataclass(frozen=True)
class Digits:
    """What is run; every default is that of the committed results."""

    out: pathlib.Path = pathlib.Path("runs/frontier")
    """Folder of frontier-digits.json, rewritten after each rho of each method."""
    num_seeds: int = 12
    """Seeds; each has its own label noise, validation split, weights and order."""
    epochs: int = 100
    """Passes over the training set, a multiple of 10."""

    def __post_init__(self):
        """Refuses what `Config` does, and epochs between two evaluations."""
        if self.config.epochs % NUM_EVALUATIONS:
            raise ValueError(
                f"epochs must be a multiple of {NUM_EVALUATIONS}, got {self.epochs}"
            )

    @property
    def config(self) -> Config:
        """All settings; what is no option here is as in the demo."""
        return Config(num_seeds=self.num_seeds, epochs=self.epochs, noise_rates=(0.4,))


def main(options: Digits) -> None:
    """Trains what is left and writes the report."""
    config, path = options.config, options.out / "frontier-digits.json"
    settings = {"num_seeds": options.num_seeds, "epochs": options.epochs}
    record = {**provenance(), "options": settings}
    num_steps = config.epochs * (config.num_train // config.batch_size)
    study = Study(
        title="Digits, a perceptron with LayerNorm",
        rhos=RHOS,
        tuning_seeds=list(range(config.num_seeds)),
        costs={name: METHODS[name].cost(num_steps) for name in RHOS},
        results=finished(path, settings),
    )
    known = {(result.method, result.rho) for result in study.results}
    todo = [
        (name, rho)
        for name, rhos in RHOS.items()
        for rho in rhos
        if (name, rho) not in known
    ]
    for results in tqdm(train(todo, config), total=len(todo), unit="rho", disable=None):
        study.results.extend(results)
        write_study(path, study, record)
        write_report(options.out)
    write_report(options.out)


def finished(path: pathlib.Path, settings: dict[str, Any]) -> list[Result]:
    """Returns the results of an earlier command, none if there was none.

    Raises:
        SettingsError: If it had other settings.
    """
    if not path.exists():
        return []
    if (known := json.loads(path.read_text())["options"]) != settings:
        raise SettingsError(
            f"{path} holds results of {known}, not of {settings}: give the same "
            "options, or another --out"
        )
    return read_study(path).results


def train(todo: list[tuple[str, float]], config: Config) -> Iterator[list[Result]]:
    """Yields the results of each method and rho, compiling once a method."""
    for method in dict.fromkeys(name for name, _ in todo):
        run = program(METHODS[method], config)
        seeds = jax.device_put(draw(METHODS[method], config))
        for rho in (rho for name, rho in todo if name == method):
            yield results_of(method, rho, jax.device_get(run(rho, seeds)))


def results_of(method: str, rho: float, accuracies: Accuracies) -> list[Result]:
    """Returns a result for each seed, of arrays [seed, evaluation]."""
    train, validation, test = (np.asarray(x, np.float64) for x in accuracies)
    return [
        Result(
            method=method,
            rho=rho,
            seed=seed,
            test=test[seed, -1],
            test_maximum=test[seed].max(),
            validation=validation[seed, -1],
            train=train[seed, -1],
        )
        for seed in range(len(test))
    ]
