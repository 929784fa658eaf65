"""Finished and unfinished runs, read back from their folders."""

import json
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from experiments.training.metrics import read_metrics
from experiments.training.run_folder import RunFolder


class Run(NamedTuple):
    """A run folder, as plain values."""

    path: pathlib.Path
    config: dict[str, Any]
    """What config.json holds; `seed` among it."""
    lines: list[dict[str, Any]]
    """What metrics.jsonl holds."""

    @property
    def is_finished(self) -> bool:
        """Whether its last epoch was evaluated."""
        evaluated = [line for line in self.lines if line["split"] == "test"]
        return bool(evaluated) and evaluated[-1]["epoch"] == self.config["epochs"]

    def series(self, split: str, metric: str) -> list[float]:
        """Returns a metric of a split, evaluation by evaluation."""
        return [line[metric] for line in self.lines if line["split"] == split]


def is_finished(path: pathlib.Path) -> bool:
    """Tells whether the run in a folder was evaluated after its last epoch."""
    return read_run(path).is_finished


def read_run(path: pathlib.Path) -> Run:
    """Reads a run folder."""
    folder = RunFolder(path)
    return Run(
        path, json.loads(folder.config.read_text()), list(read_metrics(folder.metrics))
    )


def find_runs(paths: Iterable[pathlib.Path]) -> list[Run]:
    """Reads every run folder at or below the given folders.

    Raises:
        FileNotFoundError: If a folder does not exist or holds no run.
    """
    runs = []
    for path in paths:
        found = sorted(config.parent for config in path.rglob("config.json"))
        if not found:
            raise FileNotFoundError(
                f"no run in {path}: give a folder that python -m experiments.cifar "
                "or another experiment has written"
            )
        runs += map(read_run, found)
    return runs
