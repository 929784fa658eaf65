"""The loop: step, log, evaluate, save."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.training.averages import averaged_steps
from experiments.training.checkpoint import Checkpoints, checkpoints_of
from experiments.training.config import Cadence, RunOptions, StateSharding
from experiments.training.distributed import any_process, is_primary, on_primary
from experiments.training.gradient import climbs, gradient_fn
from experiments.training.interruption import catch_interruption
from experiments.training.metrics import MetricsLog
from experiments.training.progress import Progress
from experiments.training.run_folder import RunFolder, check_room
from experiments.training.sharding import data_mesh, state_shardings
from experiments.training.step import (
    PyTree,
    TrainState,
    init_state,
    make_train_step,
)
from experiments.training.task import Task


class NonFiniteLossError(Exception):
    """Training has diverged; the message names the step and the last checkpoint."""


class Outcome(NamedTuple):
    """How a run ended."""

    state: TrainState
    folder: RunFolder
    interrupted: bool
    """Whether it was asked to stop. It is saved, and may be at its end."""
    finished: bool
    """Whether the last step of the task is taken."""


def train(
    task: Task,
    folder: RunFolder,
    *,
    seed: int,
    cadence: Cadence,
    options: RunOptions,
) -> Outcome:
    """Trains, or goes on from the newest checkpoint in the run folder.

    The host waits for the device only to log, to evaluate and to save. A resumed run
    ends with the arrays of an unbroken one, to the bit, and with its lines of metrics
    but for the fields in `TIME_FIELDS`.

    Args:
        task: What is trained.
        folder: Where the run is kept.
        seed: Of the initial parameters and of every key of the run.
        cadence: When to write.
        options: Where and how long to run.

    Raises:
        RunFolderError: If the disk has no room for the checkpoints.
        CheckpointError: If a checkpoint cannot be written, or none can be read.
        NonFiniteLossError: If the loss or an update is not finite.
    """
    initial = initial_state(task, seed, options.sharding)
    num_bytes = sum(
        leaf.size * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(jax.eval_shape(initial))
    )
    # One more than stay: an old one goes only when the new one is on disk.
    on_primary(lambda: check_room(folder, num_bytes, task.averaged + 1))
    end = task.num_epochs * task.steps_per_epoch
    alone = jax.process_count() == 1
    stop = min(end, options.max_steps or end)

    with (
        catch_interruption() as interruption,
        checkpoints_of(task, folder) as checkpoints,
    ):
        state = checkpoints.restore_newest(initial())
        take_step = _compiled_step(task, seed, end, state)
        start = int(state.step)
        with _progress(task, folder, start, end, options) as progress:
            for step, inputs in zip(
                range(start + 1, stop + 1), task.inputs(start), strict=False
            ):
                state = take_step(step, state, inputs)
                progress.advance()
                if _is_due(step, cadence.log_every, end):
                    _check_finite(state, checkpoints)
                    state = _log(state, task, progress)
                if _is_due(step, cadence.eval_every * task.steps_per_epoch, end):
                    evaluated = task.evaluate(state.params, state.model_state)
                    progress.evaluation(step, evaluated)
                save_every = cadence.checkpoint_every * task.steps_per_epoch
                # Processes agree where they wait anyway, and all stop at one step.
                may_stop = alone or _is_due(step, cadence.log_every, end)
                stopping = may_stop and any_process(interruption.requested)
                is_averaged = step in averaged_steps(task)
                is_due = _is_due(step, save_every, end) or is_averaged
                if is_due or stopping or step == stop:
                    _check_finite(state, checkpoints)
                    checkpoints.save(step, state)
                if stopping:
                    break
    interrupted = any_process(interruption.requested)
    return Outcome(state, folder, interrupted, int(state.step) == end)


def initial_state(
    task: Task, seed: int, sharding: StateSharding = "replicated"
) -> Callable[[], TrainState]:
    """Returns the compiled function that draws the state before the first step."""

    def initial():
        return init_state(
            task.init,
            task.optimizer,
            task.metric_names,
            seed,
            keeps_grads=task.ascent.source == "stale",
        )

    shardings = state_shardings(jax.eval_shape(initial), data_mesh(), sharding)
    return jax.jit(initial, out_shardings=shardings)


def train_step_of(
    task: Task, seed: int, *, climb: bool = True
) -> Callable[[TrainState, PyTree], TrainState]:
    """Returns the step of a task, to be compiled.

    Args:
        task: What is trained.
        seed: Of every key.
        climb: Whether the ascent of the task is due.
    """
    gradient = gradient_fn(
        task.loss_fn,
        task.ascent,
        task.num_epochs * task.steps_per_epoch,
        climb=climb,
    )
    return make_train_step(gradient, task.prepare, task.optimizer, seed)


def _compiled_step(
    task: Task, seed: int, end: int, state: TrainState
) -> Callable[[int, TrainState, PyTree], TrainState]:
    """Returns ``(step, state, inputs) -> state``, of two programs: some steps climb."""
    shardings = jax.tree.map(lambda x: x.sharding, state)
    climbing, plain = (
        jax.jit(
            train_step_of(task, seed, climb=climb),
            donate_argnums=0,
            out_shardings=shardings,
        )
        for climb in (True, False)
    )

    def take_step(step, state, inputs):
        due = climbs(task.ascent, end, step - 1)
        return (climbing if due else plain)(state, inputs)

    return take_step


def _log(state: TrainState, task: Task, progress: Progress) -> TrainState:
    """Writes the means since the last line; returns the state with totals of zero."""
    step = int(state.step)
    totals = {name: x.item() for name, x in state.totals.items()}
    learning_rate = jnp.asarray(task.learning_rate(step - 1)).item()
    progress.training(step, totals, learning_rate)
    return state._replace(totals=jax.tree.map(jnp.zeros_like, state.totals))


def _is_due(step: int, every: int, end: int) -> bool:
    return step % every == 0 or step == end


def _progress(
    task: Task, folder: RunFolder, start: int, end: int, options: RunOptions
) -> Progress:
    log = None
    if is_primary():
        log = MetricsLog(
            folder.metrics, after_step=start, tensorboard=options.tensorboard
        )
    return Progress(
        log,
        start=start,
        end=end,
        steps_per_epoch=task.steps_per_epoch,
        unit=task.unit,
    )


def _check_finite(state: TrainState, checkpoints: Checkpoints) -> None:
    step = int(state.non_finite_step)
    if step < 0:
        return
    saved = checkpoints.last_saved
    where = (
        "There is no checkpoint before it."
        if saved is None
        else f"The last good checkpoint is that of step {saved}."
    )
    raise NonFiniteLossError(
        f"the loss or the update of step {step} is not finite. {where} Try a lower "
        "learning rate or a smaller rho, in another run folder."
    )
