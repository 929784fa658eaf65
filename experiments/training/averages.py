"""The mean of the parameters at the end of the last epochs of a run."""

import functools

import jax
import optax

from experiments.training.checkpoint import checkpoints_of
from experiments.training.run_folder import RunFolder
from experiments.training.step import PyTree, TrainState
from experiments.training.task import Task


def averaged_steps(task: Task) -> range:
    """Returns the steps whose parameters are averaged, the last of the run among them.

    They do not depend on how often a run saves.
    """
    end, each = task.num_epochs * task.steps_per_epoch, task.steps_per_epoch
    first = max(each, end - (task.averaged - 1) * each)
    return range(first, end + 1, each)


def averaged_params(task: Task, folder: RunFolder, like: TrainState) -> PyTree:
    """Returns the mean of the parameters at `averaged_steps`, of a finished run.

    Args:
        task: What was trained.
        folder: Where the run is kept.
        like: A state of the run, for its shapes, dtypes and shardings.

    Raises:
        CheckpointError: If one of the checkpoints is missing or damaged.
    """
    steps = averaged_steps(task)
    with checkpoints_of(task, folder) as checkpoints:
        states = (checkpoints.restore(step, like) for step in steps)
        total = functools.reduce(optax.tree.add, (state.params for state in states))
    return jax.tree.map(lambda x: x / len(steps), total)
