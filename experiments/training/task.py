"""What the loop needs to know of an experiment."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import optax

from experiments.training.config import Ascent
from experiments.training.run_folder import RunFolder
from experiments.training.step import LossFn

PyTree = Any


class Task(NamedTuple):
    """An experiment, as the functions of which the loop is made."""

    init: Callable[[jax.Array], tuple[PyTree, PyTree]]
    """Random key to ``(params, model_state)``."""
    loss_fn: LossFn
    metric_names: tuple[str, ...]
    """The metrics that `loss_fn` sums; ``loss`` and ``count`` among them."""
    inputs: Callable[[int], Iterator[PyTree]]
    """Number of steps already taken to the inputs of the next ones, without end."""
    prepare: Callable[[PyTree, jax.Array], PyTree]
    """Inputs and random key to a batch, inside the compiled step."""
    evaluate: Callable[[PyTree, PyTree], Mapping[str, Mapping[str, float]]]
    """``(params, model_state)`` to the metrics of each evaluated split."""
    ascent: Ascent
    optimizer: optax.GradientTransformation
    learning_rate: optax.Schedule
    """Of the step, for the log."""
    steps_per_epoch: int
    num_epochs: int
    unit: str
    """What is counted, for the progress bar: images, tokens."""
    conclude: Callable[[PyTree, RunFolder], str]
    """What to do with the parameters of a finished run; returns what to tell of it.

    Every process calls it; process 0 writes, and tells what it returns."""
    averaged: int = 1
    """Epochs at the end whose parameters are averaged in what `conclude` gets."""
