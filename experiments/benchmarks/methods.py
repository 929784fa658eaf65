"""The training steps in JAX that are compared."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

import asam_jax
from experiments.benchmarks.problems import Batch, Problem

PyTree: TypeAlias = Any

LEARNING_RATE, MOMENTUM = 1e-3, 0.9
RHO, ETA = 0.05, 0.01
"""The radius for SAM; ASAM's is ten times as large, as in the paper."""


class State(NamedTuple):
    """What a step takes and returns."""

    params: PyTree
    model_state: PyTree
    opt_state: PyTree


Step: TypeAlias = Callable[[State, Batch], tuple[State, jax.Array]]
"""``(state, batch) -> (state, loss)``."""


class Method(NamedTuple):
    """An optimizer, and how often its `update` is called for one step."""

    optimizer: optax.GradientTransformation
    calls: int = 1


def jax_methods() -> dict[str, Method]:
    """Returns the methods by name, plain SGD first; all descend by the same SGD.

    Each call of optax's transparent mode takes a gradient on its own: the first
    climbs, the second descends. The two together are one step. It branches, and XLA
    on CPU may run what comes before a branch faster: hence the SGD that branches too.
    """
    sgd = optax.sgd(LEARNING_RATE, momentum=MOMENTUM)
    adversary = optax.chain(optax.contrib.normalize(), optax.sgd(RHO))
    opaque = optax.contrib.sam(sgd, adversary, opaque_mode=True)
    return {
        "SGD": Method(sgd),
        "SGD, in a branch": Method(optax.conditionally_transform(sgd, _always)),
        "SAM, asam_jax": Method(optax.chain(asam_jax.sam(RHO), sgd)),
        "ASAM, asam_jax": Method(optax.chain(asam_jax.asam(10 * RHO, ETA), sgd)),
        "SAM, optax opaque": Method(opaque),
        "SAM, optax transparent": Method(optax.contrib.sam(sgd, adversary), calls=2),
    }


def _always(step: jax.typing.ArrayLike, **extra_args: Any) -> jax.Array:
    del extra_args
    return jnp.asarray(step) >= 0  # which XLA does not know


def init_state(problem: Problem, method: Method, seed: int = 0) -> State:
    """Returns the state before the first step, in arrays that may all be donated.

    The state of optax's transparent mode holds the parameters themselves, and XLA
    refuses to donate one array twice; hence the copies.
    """
    params, model_state = problem.init(jax.random.key(seed))
    state = State(params, model_state, method.optimizer.init(params))
    return jax.tree.map(jnp.copy, state)


def make_step(problem: Problem, method: Method) -> Step:
    """Returns one call of the method: gradient, ascent if any, descent."""
    optimizer = optax.with_extra_args_support(method.optimizer)

    def step(state: State, batch: Batch) -> tuple[State, jax.Array]:
        def loss_at(params):
            return problem.loss_fn(params, state.model_state, batch)

        def grad_fn(params, *step_of_adversary):
            del step_of_adversary  # optax's opaque mode counts its steps
            return jax.grad(loss_at, has_aux=True)(params)[0]

        value_and_grad = jax.value_and_grad(loss_at, has_aux=True)
        (loss, model_state), grads = value_and_grad(state.params)
        updates, opt_state = optimizer.update(
            grads, state.opt_state, state.params, grad_fn=grad_fn
        )
        params = optax.apply_updates(state.params, updates)
        return State(params, model_state, opt_state), loss

    return step
