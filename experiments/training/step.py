"""The state of a run and the pure step from one to the next."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.training.streams import StepKeys, run_keys, step_keys

PyTree = Any
Metrics = Mapping[str, jax.Array]

LossFn = Callable[[PyTree, PyTree, PyTree, jax.Array], tuple[jax.Array, Any]]
"""``(params, model_state, batch, key) -> (loss, (model_state, metrics))``.

The metrics are sums over the batch and hold ``loss`` and ``count``; the loop divides
by the count.
"""


GradientFn = Callable[
    ["TrainState", PyTree, StepKeys],
    tuple[tuple[jax.Array, tuple[PyTree, Metrics]], PyTree],
]
"""``(state, batch, keys) -> (loss, (model_state, metrics)), gradient``."""


class TrainState(NamedTuple):
    """All that a run carries from step to step, and all that a checkpoint holds.

    Randomness is no part of it: every key is derived from seed and step.
    """

    step: jax.Array
    """Number of steps taken, int32 []."""
    params: PyTree
    model_state: PyTree
    opt_state: PyTree
    last_grads: PyTree
    """The gradient of the last step where the next one climbs it, else ()."""
    totals: Metrics
    """Sums of the metrics since the last line of the log, float32 []."""
    non_finite_step: jax.Array
    """The first step whose loss or update was not finite, -1 if none; int32 []."""


def init_state(
    init: Callable[[jax.Array], tuple[PyTree, PyTree]],
    optimizer: optax.GradientTransformation,
    metric_names: tuple[str, ...],
    seed: int,
    *,
    keeps_grads: bool = False,
) -> TrainState:
    """Returns the state before the first step."""
    params, model_state = init(run_keys(seed).init)
    return TrainState(
        step=jnp.zeros([], jnp.int32),
        params=params,
        model_state=model_state,
        opt_state=optimizer.init(params),
        last_grads=optax.tree.zeros_like(params) if keeps_grads else (),
        totals={name: jnp.zeros([], jnp.float32) for name in metric_names},
        non_finite_step=jnp.full([], -1, jnp.int32),
    )


def make_train_step(
    gradient: GradientFn,
    prepare: Callable[[PyTree, jax.Array], PyTree],
    optimizer: optax.GradientTransformation,
    seed: int,
) -> Callable[[TrainState, PyTree], TrainState]:
    """Returns the step: prepare the batch, take the gradient, descend, count."""

    def train_step(state: TrainState, inputs: PyTree) -> TrainState:
        keys = step_keys(run_keys(seed).steps, state.step)
        batch = prepare(inputs, keys.prepare)
        (loss, (model_state, metrics)), grads = gradient(state, batch, keys)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        is_finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(updates))
        is_first_non_finite = (state.non_finite_step < 0) & ~is_finite
        step = state.step + 1
        return TrainState(
            step=step,
            params=optax.apply_updates(state.params, updates),
            model_state=model_state,
            opt_state=opt_state,
            last_grads=() if state.last_grads == () else grads,
            totals={name: state.totals[name] + metrics[name] for name in state.totals},
            non_finite_step=jnp.where(is_first_non_finite, step, state.non_finite_step),
        )

    return train_step
