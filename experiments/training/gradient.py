"""The gradient of a step: where it climbs, along what, and at which steps."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import asam_jax
from experiments.training.config import Ascent
from experiments.training.groups import in_groups
from experiments.training.normalizations import NORMALIZATIONS
from experiments.training.step import GradientFn, LossFn, PyTree, TrainState
from experiments.training.streams import StepKeys


def gradient_fn(
    loss_fn: LossFn,
    ascent: Ascent,
    num_steps: int,
    *,
    climb: bool | None = None,
    rho: jax.Array | None = None,
) -> GradientFn:
    """Returns the function that takes the gradient of a step.

    Both passes of an ascent see the same batch and the same key, that of the loss, and
    hence the same dropout masks; loss, metrics and model state are those of the clean
    pass where there is one.

    Args:
        loss_fn: The loss.
        ascent: How to climb.
        num_steps: Steps of the whole run, of which `ascent.start` is a share.
        climb: Whether the step climbs, if its caller knows; by default a branch in the
            step goes by its number. (XLA on CPU runs a convolution in a branch many
            times slower.)
        rho: The radius, in place of that of `ascent`, where one program serves several.
    """

    def descend(state: TrainState, batch: PyTree, keys: StepKeys):
        return jax.value_and_grad(loss_fn, has_aux=True)(
            state.params, state.model_state, batch, keys.loss
        )

    def climb_and_descend(state: TrainState, batch: PyTree, keys: StepKeys):
        arguments = ball(ascent, state.params)
        if rho is not None:
            arguments["rho"] = rho
        value_and_grad = asam_jax.value_and_grad(
            loss_fn,
            source=_source(loss_fn, ascent, state, batch, keys),
            has_aux=True,
            **arguments,
        )
        return value_and_grad(state.params, state.model_state, batch, keys.loss)

    def on_due_steps(state: TrainState, batch: PyTree, keys: StepKeys):
        due = climbs(ascent, num_steps, state.step)
        return jax.lax.cond(due, climb_and_descend, descend, state, batch, keys)

    always = ascent.every == 1 and _first_step(ascent, num_steps) == 0
    if ascent.rho == 0 or climb is False:
        gradient = descend
    elif climb or always:
        gradient = climb_and_descend
    else:
        gradient = on_due_steps
    return gradient if ascent.group == "batch" else in_groups(gradient, ascent.group)


def ball(ascent: Ascent, params: PyTree) -> dict[str, Any]:
    """Returns the ball of an ascent as the arguments that the library takes."""
    return {
        "rho": ascent.rho,
        "normalization": NORMALIZATIONS[ascent.normalization](ascent.eta),
        "p": 2 if ascent.p == 2 else jnp.inf,
        "mask": norm_layers(params) if ascent.where == "norm-layers" else None,
    }


def norm_layers(params: PyTree) -> PyTree:
    """Marks the parameters of normalization layers, which are those with a scale."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    name = functools.partial(jax.tree_util.keystr, simple=True)
    layers = {path[:-1] for path, _ in leaves if name(path[-1:]) == "scale"}
    return jax.tree_util.tree_map_with_path(lambda path, _: path[:-1] in layers, params)


def _source(
    loss_fn: LossFn, ascent: Ascent, state: TrainState, batch: PyTree, keys: StepKeys
) -> PyTree | None:
    """Returns the direction to climb, None for the gradient of the clean pass."""
    match ascent.source:
        case "gradient" if ascent.part == 1:
            return None
        case "gradient":
            # Every k-th example: each device keeps to its own share of the batch.
            part = jax.tree.map(lambda x: x[:: ascent.part], batch)
            grad_fn: Callable[..., Any] = jax.grad(loss_fn, has_aux=True)
            return grad_fn(state.params, state.model_state, part, keys.loss)[0]
        case "momentum":
            return asam_jax.momentum_source(state.opt_state)
        case "stale":
            return state.last_grads
        case "random":
            return optax.tree.random_like(keys.source, state.params)


def climbs(ascent: Ascent, num_steps: int, step: Any) -> Any:
    """Tells whether a run of `num_steps` climbs at a step, an integer from 0 on."""
    return (step >= _first_step(ascent, num_steps)) & (step % ascent.every == 0)


def num_gradients(ascent: Ascent, num_steps: int) -> float:
    """Returns the gradients of whole batches that a run evaluates."""
    if ascent.rho == 0 or ascent.source != "gradient":
        return float(num_steps)
    num_climbs = sum(climbs(ascent, num_steps, step) for step in range(num_steps))
    return num_steps + num_climbs / ascent.part


def _first_step(ascent: Ascent, num_steps: int) -> int:
    return round(ascent.start * num_steps)
