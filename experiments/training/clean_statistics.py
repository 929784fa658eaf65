"""BatchNorm statistics at the parameters themselves, where training leaves others."""

from collections.abc import Callable

import jax

from experiments.training.step import PyTree
from experiments.training.task import Task

NUM_PASSES = 50
"""Batches that are seen; of the old statistics 0.9^50, half a percent, is left."""


def with_clean_statistics(task: Task, key: jax.Array) -> Task:
    """Returns the task with an evaluation that goes by `clean_statistics`."""
    clean = clean_statistics(task, key)

    def evaluate(params: PyTree, model_state: PyTree):
        return task.evaluate(params, clean(params, model_state))

    return task._replace(evaluate=evaluate)


def clean_statistics(task: Task, key: jax.Array) -> Callable[[PyTree, PyTree], PyTree]:
    """Returns ``(params, model_state) -> model_state``, which estimates it anew.

    A step without a clean pass sees perturbed parameters only, and so do its running
    statistics. In a wide ball they misjudge the net itself by points of accuracy. Where
    every step has a clean pass, the model state stays as it is.

    Args:
        task: Whose first batches are seen, forward only.
        key: Of what is random in these batches and in their loss.
    """
    if task.ascent.has_clean_pass:
        return lambda params, model_state: model_state

    @jax.jit
    def seen(params: PyTree, model_state: PyTree, inputs: PyTree, key: jax.Array):
        prepare_key, loss_key = jax.random.split(key)
        batch = task.prepare(inputs, prepare_key)
        _, (model_state, _) = task.loss_fn(params, model_state, batch, loss_key)
        return model_state

    def clean(params: PyTree, model_state: PyTree) -> PyTree:
        keys = jax.random.split(key, NUM_PASSES)
        for pass_key, inputs in zip(keys, task.inputs(0), strict=False):
            model_state = seen(params, model_state, inputs, pass_key)
        return model_state

    return clean
