"""Training to a common loss: all models of a batch size as one program."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.correlation.config import Study
from experiments.correlation.nets import Dropout, Net, Params
from experiments.correlation.problem import Data
from experiments.data.images import ImageSet
from experiments.data.order import epoch_order
from experiments.settings_error import SettingsError
from experiments.training.optimizer import sgd

CHUNK = 500  # examples that are evaluated at once


class Models(NamedTuple):
    """Models in the making, with a leading axis [model].

    Attributes:
        params: The parameters; no longer changed once the target is reached.
        opt_state: The optimizer's state.
        train_loss: Of `params` on all training examples, without dropout.
        reached_at: The step at which it was first seen below the target, or -1.
    """

    params: Params
    opt_state: Any
    train_loss: jax.Array
    reached_at: jax.Array


def train(
    net: Net,
    data: Data,
    study: Study,
    batch_size: int,
    seed: int,
    on_check: Callable[[int, Models], None],
) -> Models:
    """Trains the models of a batch size until all are below the target, or time is up.

    Those of one seed begin at the same weights and see the same examples in the same
    order; the numbers behind their dropout are the same, too.

    Args:
        net: The net.
        data: The data.
        study: The settings.
        batch_size: Examples a step.
        seed: Of weights, order and dropout.
        on_check: Called with the number of steps taken, whenever the loss is known.

    Returns:
        The models, in the order of `Grid.of_a_batch_size`.

    Raises:
        SettingsError: If no batch is full, or there are fewer steps than one check.
    """
    init_key, order_key, dropout_key = jax.random.split(jax.random.key(seed), 3)
    rows = _batches(order_key, len(data.train.labels), batch_size, study)
    combinations = np.array(study.grid.of_a_batch_size, np.float32)
    models = _start(net, study, len(rows), combinations, init_key)
    train_set = jax.device_put(data.train)
    for step in range(0, len(rows), study.check_every):
        models = _advance(
            *(net, study, len(rows), models, combinations, train_set),
            rows[step : step + study.check_every],
            step,
            dropout_key,
        )
        on_check(step + study.check_every, models)
        if np.all(models.reached_at >= 0):
            break
    return models


def _batches(
    key: jax.Array, num_examples: int, batch_size: int, study: Study
) -> np.ndarray:
    """Returns the examples of every step, [step, batch], whole checks only."""
    of_epoch = functools.partial(
        epoch_order, key, num_examples=num_examples, batch_size=batch_size
    )
    rows = np.asarray(jax.lax.map(of_epoch, jnp.arange(study.epochs)))
    rows = rows.reshape(-1, batch_size)
    num_checks = len(rows) // study.check_every
    if num_checks == 0:
        raise SettingsError(
            f"{study.epochs} epochs of batches of {batch_size} are fewer steps than "
            f"--check-every {study.check_every}"
        )
    return rows[: num_checks * study.check_every]


def _optimizer(study: Study, num_steps: int, combination: jax.Array):
    learning_rate, weight_decay, _ = combination
    return sgd(
        learning_rate=optax.cosine_decay_schedule(learning_rate, num_steps),
        momentum=study.momentum,
        weight_decay=weight_decay,
    )


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _start(net, study, num_steps, combinations, key):
    params = net.init(key)

    def start(combination):
        opt_state = _optimizer(study, num_steps, combination).init(params)
        return Models(params, opt_state, jnp.full([], jnp.inf), jnp.full([], -1))

    return jax.vmap(start)(combinations)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _advance(net, study, num_steps, models, combinations, train_set, rows, start, key):
    """Takes the steps of `rows` [step, batch] and looks at the loss."""

    def step(combination, carry, inputs):
        params, opt_state = carry
        indices, step_key = inputs
        batch = jax.tree.map(lambda array: array[indices], train_set)
        dropout = Dropout(step_key, combination[2])
        grads = jax.grad(lambda p: mean_loss(net, p, batch, dropout))(params)
        optimizer = _optimizer(study, num_steps, combination)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    def advance(model, combination):
        steps = start + jnp.arange(len(rows))
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, steps)
        (params, opt_state), _ = jax.lax.scan(
            functools.partial(step, combination),
            (model.params, model.opt_state),
            (rows, keys),
        )
        is_done = model.reached_at >= 0
        params = jax.tree.map(
            lambda old, new: jnp.where(is_done, old, new), model.params, params
        )
        train_loss = evaluate(net, params, train_set)[0]
        reaches_now = ~is_done & (train_loss < study.target_loss)
        reached_at = jnp.where(reaches_now, start + len(rows), model.reached_at)
        return Models(params, opt_state, train_loss, reached_at)

    return jax.vmap(advance)(models, combinations)


def mean_loss(
    net: Net, params: Params, batch: ImageSet, dropout: Dropout | None = None
) -> jax.Array:
    """Returns the mean cross-entropy of a batch."""
    logits = net.apply(params, jnp.asarray(batch.images), dropout)
    losses = optax.softmax_cross_entropy_with_integer_labels(
        logits, jnp.asarray(batch.labels)
    )
    return jnp.mean(losses)


def evaluate(net: Net, params: Params, part: ImageSet) -> tuple[jax.Array, jax.Array]:
    """Returns the mean cross-entropy and the error, a share, over a data set."""

    def measure(example):
        image, label = example
        (logits,) = net.apply(params, image[None], None)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
        return loss, jnp.argmax(logits) != label

    chunk = min(CHUNK, len(part.labels))
    losses, wrong = jax.lax.map(measure, tuple(part), batch_size=chunk)
    return jnp.mean(losses), jnp.mean(wrong)
