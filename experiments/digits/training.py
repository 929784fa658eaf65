"""Training: every seed, noise rate and rho of a method in one compiled program."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.data.digits import NUM_CLASSES, DigitSplits
from experiments.data.images import ImageSet
from experiments.digits import mlp
from experiments.digits.config import Config
from experiments.digits.methods import Method
from experiments.digits.streams import streams

RunState: TypeAlias = tuple[mlp.Params, optax.OptState]


class Accuracies(NamedTuple):
    """Shares of examples whose label is predicted, in [0, 1].

    Attributes:
        train: On the training labels as given, right or wrong, while training.
        validation: On the validation labels as given, after the epoch.
        test: On the clean test labels, after the epoch.
    """

    train: jax.Array | np.ndarray
    validation: jax.Array | np.ndarray
    test: jax.Array | np.ndarray


def loss_fn(params: mlp.Params, batch: ImageSet) -> tuple[jax.Array, jax.Array]:
    """Returns the mean cross-entropy and, beside it, the accuracy."""
    logits = mlp.apply(params, batch.images)
    losses = optax.softmax_cross_entropy_with_integer_labels(
        logits, jnp.asarray(batch.labels)
    )
    correct = jnp.argmax(logits, axis=-1) == batch.labels
    return jnp.mean(losses), jnp.mean(correct)


def initial_params(seeds: Sequence[int], config: Config) -> mlp.Params:
    """Draws the weights that every method starts from, on a leading axis of seeds."""
    sizes = (64, *config.hidden_sizes, NUM_CLASSES)
    nets = [
        mlp.init(np.random.default_rng(streams(seed).weights), sizes) for seed in seeds
    ]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *nets)


def data_order(seed: int, epoch: int, config: Config) -> np.ndarray:
    """Returns the training images of each batch of an epoch, [step, batch]."""
    num_steps = config.num_train // config.batch_size
    rng = np.random.default_rng([streams(seed).order, epoch])
    order = rng.permutation(config.num_train)
    return order[: num_steps * config.batch_size].reshape(num_steps, -1)


def train(
    method: Method,
    params: mlp.Params,
    tasks: DigitSplits,
    seeds: Sequence[int],
    config: Config,
    on_epoch: Callable[[Accuracies], None],
) -> tuple[mlp.Params, Accuracies]:
    """Trains with each rho on each task, in one program.

    Args:
        method: What is trained with.
        params: The initial parameters of each task, with a leading axis of tasks.
        tasks: The data, with a leading axis of tasks.
        seeds: The seed of each task, for the order of its data.
        config: The settings.
        on_epoch: Called after each epoch with its accuracies [rho, task].

    Returns:
        The trained parameters, with leading axes [rho, task], and the accuracies
        [epoch, rho, task].
    """
    start, run_epoch = _programs(functools.partial(_optimizer, method, config))
    rhos = np.asarray(method.rhos, np.float32)
    state = start(params, rhos)
    history = []
    for epoch in range(method.epochs):
        orders = np.stack([data_order(seed, epoch, config) for seed in seeds])
        state, accuracies = run_epoch(state, tasks, orders, rhos)
        history.append(jax.device_get(accuracies))
        on_epoch(history[-1])
    params, _ = jax.device_get(state)
    return params, jax.tree.map(lambda *epochs: np.stack(epochs), *history)


def _programs(
    optimizer: Callable[[jax.Array], optax.GradientTransformationExtraArgs],
) -> tuple[Callable[..., RunState], Callable[..., tuple[RunState, Accuracies]]]:
    """What starts all runs and what trains them for an epoch, both compiled."""
    start_task = lambda params, rho: (params, optimizer(rho).init(params))
    start_tasks = jax.vmap(start_task, in_axes=(0, None))
    train_tasks = jax.vmap(
        functools.partial(_run_epoch, optimizer), in_axes=(0, 0, 0, None)
    )

    @jax.jit
    def start(params, rhos):
        return jax.lax.map(lambda rho: start_tasks(params, rho), rhos)

    @jax.jit
    def run_epoch(state, tasks, orders, rhos):
        # One rho after the other, since the states of all together outgrow the cache.
        return jax.lax.map(
            lambda of_rho: train_tasks(of_rho[0], tasks, orders, of_rho[1]),
            (state, rhos),
        )

    return start, run_epoch


def _optimizer(
    method: Method, config: Config, rho: jax.Array
) -> optax.GradientTransformationExtraArgs:
    num_steps = method.epochs * (config.num_train // config.batch_size)
    schedule = optax.cosine_decay_schedule(config.learning_rate, num_steps)
    return optax.chain(
        method.ascent(rho),
        optax.add_decayed_weights(config.weight_decay),
        optax.sgd(schedule, momentum=config.momentum),
    )


def _run_epoch(
    optimizer: Callable[[jax.Array], optax.GradientTransformationExtraArgs],
    state: RunState,
    task: DigitSplits,
    order: jax.Array,
    rho: jax.Array,
) -> tuple[RunState, Accuracies]:
    """Trains one run for an epoch; written for `jax.vmap`."""

    def step(state, indices):
        params, opt_state = state
        batch = jax.tree.map(lambda array: array[indices], task.train)
        grad_fn = jax.grad(lambda p: loss_fn(p, batch), has_aux=True)
        grads, accuracy = grad_fn(params)
        updates, opt_state = optimizer(rho).update(
            grads, opt_state, params, grad_fn=lambda p: grad_fn(p)[0]
        )
        return (optax.apply_updates(params, updates), opt_state), accuracy

    state, train_accuracy = jax.lax.scan(step, state, order)
    params, _ = state
    _, validation_accuracy = loss_fn(params, task.validation)
    _, test_accuracy = loss_fn(params, task.test)
    return state, Accuracies(
        jnp.mean(train_accuracy), validation_accuracy, test_accuracy
    )
