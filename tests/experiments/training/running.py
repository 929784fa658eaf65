"""Runs of the tiny task, and what two runs of it must share."""

import itertools
import os
import pathlib
import sys
from typing import Any

import chex
import jax
import numpy as np
from jax.sharding import AxisType

from experiments.command import run_path
from experiments.training import sharding
from experiments.training.config import Cadence, RunOptions, StateSharding, to_json
from experiments.training.loop import Outcome, train
from experiments.training.metrics import TIME_FIELDS, read_metrics
from experiments.training.run_folder import open_run_folder
from experiments.training.task import Task
from tests.experiments.training.tiny import STEPS_PER_EPOCH, TinyConfig, tiny_task

SMALL = TinyConfig(width=32, epochs=4)
CADENCE = Cadence(log_every=7, eval_every=1, checkpoint_every=1)
END = SMALL.epochs * STEPS_PER_EPOCH


def train_tiny(
    run_dir: pathlib.Path,
    config: TinyConfig = SMALL,
    *,
    task: Task | None = None,
    seed: int = 0,
    cadence: Cadence = CADENCE,
    max_steps: int | None = None,
    sharding: StateSharding = "replicated",
) -> Outcome:
    """Trains in the folder where the command would, or goes on there."""
    options = RunOptions(run_dir=str(run_dir), max_steps=max_steps, sharding=sharding)
    folder = open_run_folder(
        run_path(config, seed, options), {"seed": seed, **to_json(config)}
    )
    task = task or tiny_task(config, seed=seed)
    return train(task, folder, seed=seed, cadence=cadence, options=options)


def interrupted_at(step: int, signum: int, times: int = 1) -> Task:
    """Returns the small task, which sends a signal as it hands out a step's inputs."""
    task = tiny_task(SMALL, seed=0)

    def inputs(start):
        for k, x in zip(itertools.count(start + 1), task.inputs(start), strict=False):
            for _ in range(times if k == step else 0):
                os.kill(os.getpid(), signum)
            yield x

    return task._replace(inputs=inputs)


def use_devices(monkeypatch, num_devices: int) -> None:
    """Lets the training system see the first few devices alone."""
    mesh = jax.make_mesh(
        (num_devices,),
        ("data",),
        axis_types=(AxisType.Auto,),
        devices=jax.devices()[:num_devices],
    )
    before, after = sharding.data_mesh, lambda: mesh
    for module in list(sys.modules.values()):
        if getattr(module, "data_mesh", None) is before:
            monkeypatch.setattr(module, "data_mesh", after)


def lines_of(outcome: Outcome) -> list[dict[str, Any]]:
    """Returns the metrics of a run but for what the clock has given."""
    return [
        {name: value for name, value in line.items() if name not in TIME_FIELDS}
        for line in read_metrics(outcome.folder.metrics)
    ]


def assert_same_bits(actual: Any, expected: Any) -> None:
    """Compares every array of two states."""
    chex.assert_trees_all_equal_shapes_and_dtypes(actual, expected)
    for (path, a), b in zip(
        jax.tree.leaves_with_path(actual), jax.tree.leaves(expected), strict=True
    ):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), path


def assert_same_run(actual: Outcome, expected: Outcome) -> None:
    """Compares two runs, which may have been broken off and resumed."""
    assert_same_bits(actual.state, expected.state)
    assert lines_of(actual) == lines_of(expected)
