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

LIKE_FOR_LIKE = (
    ("SAM, asam_jax", "SAM, optax opaque"),
    ("ASAM, asam_jax", "ASAM, by hand"),
    ("SAM, asam_jax", "SAM, optax transparent"),
    ("SAM, asam_jax, in a branch", "SAM, optax transparent"),
)
"""One of ours, and a peer in JAX that takes the same steps."""


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
    on CPU may run what comes before a branch faster: hence the methods whose SGD
    stands in a branch too.
    """
    sgd = optax.sgd(LEARNING_RATE, momentum=MOMENTUM)
    in_a_branch = optax.conditionally_transform(sgd, _always)
    sam, asam = asam_jax.sam(RHO), asam_jax.asam(10 * RHO, ETA)
    plain, adaptive = sam_adversary(RHO), asam_adversary(10 * RHO, ETA)
    return {
        "SGD": Method(sgd),
        "SGD, in a branch": Method(in_a_branch),
        "SAM, asam_jax": Method(optax.chain(sam, sgd)),
        "SAM, asam_jax, in a branch": Method(optax.chain(sam, in_a_branch)),
        "ASAM, asam_jax": Method(optax.chain(asam, sgd)),
        "SAM, optax opaque": Method(optax.contrib.sam(sgd, plain, opaque_mode=True)),
        "SAM, optax transparent": Method(optax.contrib.sam(sgd, plain), calls=2),
        "ASAM, by hand": Method(optax.contrib.sam(sgd, adaptive, opaque_mode=True)),
    }


def sam_adversary(rho: float) -> optax.GradientTransformation:
    """Returns the ascent that Optax's documentation gives to `optax.contrib.sam`."""
    return optax.chain(optax.contrib.normalize(), optax.sgd(rho))


def asam_adversary(rho: float, eta: float) -> optax.GradientTransformation:
    """Returns the ascent of ASAM as one would write it for `optax.contrib.sam`."""

    def descend(grads, params):
        scales = jax.tree.map(
            lambda w: jnp.abs(w) + eta if w.ndim > 1 else jnp.ones_like(w), params
        )
        scaled = jax.tree.map(jnp.multiply, scales, grads)
        factor = -rho / optax.tree.norm(scaled)  # optax.contrib.sam turns the sign
        return jax.tree.map(lambda scale, g: factor * scale * g, scales, scaled)

    return optax.stateless(descend)


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
