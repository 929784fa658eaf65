"""BatchNorm statistics at the parameters themselves, where training leaves others."""

import jax

from experiments.training.step import PyTree
from experiments.training.task import Task

NUM_PASSES = 50
"""Batches that are seen; of the old statistics 0.9^50, half a percent, is left."""


def with_clean_statistics(task: Task) -> Task:
    """Returns the task with an evaluation that first estimates the model state anew.

    A step without a clean pass sees perturbed parameters only, and so do its running
    statistics. In a wide ball they misjudge the net itself by points of accuracy.

    Args:
        task: Whose first batches are seen, forward only.
    """

    @jax.jit
    def seen(params: PyTree, model_state: PyTree, inputs: PyTree, key: jax.Array):
        prepare_key, loss_key = jax.random.split(key)
        batch = task.prepare(inputs, prepare_key)
        _, (model_state, _) = task.loss_fn(params, model_state, batch, loss_key)
        return model_state

    def evaluate(params: PyTree, model_state: PyTree):
        keys = jax.random.split(jax.random.key(0), NUM_PASSES)
        for key, inputs in zip(keys, task.inputs(0), strict=False):
            model_state = seen(params, model_state, inputs, key)
        return task.evaluate(params, model_state)

    return task._replace(evaluate=evaluate)
