"""Finished runs of the study, and the file that holds those of a data set."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.provenance import write_json
from experiments.statistics import Mean, mean_of
from experiments.tuning import Choice, choose


class Result(NamedTuple):
    """A finished run; accuracies are shares of examples."""

    method: str
    rho: float
    seed: int
    test: float
    """On clean test labels after the last epoch: the headline."""
    test_maximum: float
    """The best of the evaluations, hence chosen with the test labels."""
    validation: float
    """On validation labels as noisy as the training labels, after the last epoch."""
    train: float
    """On the training labels as given, while training, in the last epoch."""


class Study(NamedTuple):
    """All that is known of the methods on a data set."""

    title: str
    """What is trained on what."""
    rhos: Mapping[str, Sequence[float]]
    """Method to the radii that it tries, (0.0,) for SGD."""
    tuning_seeds: Sequence[int]
    """The seeds whose mean validation accuracy chooses rho."""
    costs: Mapping[str, float]
    """Method to the gradients of its run for each step of SGD."""
    results: list[Result]

    def chosen(self, method: str) -> list[Result]:
        """Returns the runs at the rho that validation chooses, one a seed.

        There are none before every rho has been tried with every tuning seed.
        """
        choice = self.choice(method)
        if choice is None:
            return []
        return sorted(
            (r for r in self.results if (r.method, r.rho) == (method, choice.rho)),
            key=lambda result: result.seed,
        )

    def choice(self, method: str) -> Choice | None:
        """Returns the rho with the best mean validation accuracy, None if not tuned."""
        tried = [
            (result.rho, result.validation)
            for result in self.results
            if result.method == method and result.seed in self.tuning_seeds
        ]
        if len(tried) < len(self.rhos[method]) * len(self.tuning_seeds):
            return None
        return choose(tried)

    def difference(self, method: str, other: str) -> Mean | None:
        """Returns how much more accurate a method is on the test, seed by seed.

        None if the two have no seed in common.
        """
        test, other_test = (
            {run.seed: run.test for run in self.chosen(name)}
            for name in (method, other)
        )
        seeds = sorted(test.keys() & other_test.keys())
        return mean_of([test[s] - other_test[s] for s in seeds]) if seeds else None

    def frontier(self) -> list[str]:
        """Returns the methods that none at their cost or below exceeds.

        The cheapest comes first; what counts is the mean accuracy on the test.
        """
        means = {
            name: mean_of([run.test for run in runs]).mean
            for name in self.costs
            if (runs := self.chosen(name))
        }
        efficient: list[str] = []
        for name in sorted(means, key=lambda name: (self.costs[name], -means[name])):
            if not efficient or means[name] > means[efficient[-1]]:
                efficient.append(name)
        return efficient


def write_study(path: pathlib.Path, study: Study, record: Mapping[str, Any]) -> None:
    """Writes a study and a record of where it comes from, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results = [result._asdict() for result in sorted(study.results)]
    partial = path.with_suffix(".partial")
    write_json(partial, {**record, **study._asdict(), "results": results})
    partial.replace(path)


def read_study(path: pathlib.Path) -> Study:
    """Reads what `write_study` wrote."""
    values = json.loads(path.read_text())
    results = [Result(**result) for result in values["results"]]
    fields = {name: values[name] for name in Study._fields}
    return Study(**{**fields, "results": results})
