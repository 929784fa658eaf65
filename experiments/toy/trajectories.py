"""Training on the paper's toy landscape, by the library's own chain elements."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import asam_jax

STARTS = ((0.2, 0.05), (0.3, 0.0333))
RHO = 0.05
LEARNING_RATE = 0.05
NUM_STEPS = 100
VALLEY = 0.04
RHOS = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 1.2, 1.4)
"""Radii below sqrt(2), from which ASAM without eta is to move."""


def everywhere(path, leaf) -> bool:
    """Normalizes both weights; `is_weight` takes a vector without a name for a bias."""
    del path, leaf
    return True


NORMALIZATIONS = {
    "SAM": asam_jax.identity(),
    "ASAM, eta 0": asam_jax.elementwise(0.0, everywhere),
    "ASAM, eta 0.01": asam_jax.elementwise(0.01, everywhere),
}
METHODS = ("SGD", *NORMALIZATIONS)


def loss_fn(w: jax.Array) -> jax.Array:
    """Returns ``|w1 relu(w2) - 0.04|`` of weights [2]: no gradient where w2 <= 0."""
    w1, w2 = w
    return jnp.abs(w1 * jax.nn.relu(w2) - VALLEY)


def ascent(method: str, rho: jax.Array) -> optax.GradientTransformationExtraArgs:
    """Returns the first element of the chain of a method."""
    if method == "SGD":
        return optax.with_extra_args_support(optax.identity())
    return asam_jax.asam(rho, normalization=NORMALIZATIONS[method])


@functools.partial(jax.jit, static_argnames="method")
def train(method: str, start: jax.Array, rho: jax.Array) -> jax.Array:
    """Trains from a start, by SGD without momentum behind the ascent.

    Args:
        method: One of `METHODS`.
        start: The weights w1 and w2, float32 [2].
        rho: The radius of the ball, float32 [].

    Returns:
        The weights before and after each step, float32 [NUM_STEPS + 1, 2].
    """
    optimizer = optax.chain(ascent(method, rho), optax.sgd(LEARNING_RATE))
    grad_fn = jax.grad(loss_fn)

    def step(carry, _):
        w, opt_state = carry
        updates, opt_state = optimizer.update(grad_fn(w), opt_state, w, grad_fn=grad_fn)
        return (optax.apply_updates(w, updates), opt_state), w

    carry = (start, optimizer.init(start))
    _, weights = jax.lax.scan(step, carry, length=NUM_STEPS + 1)
    return weights


class Trajectory(NamedTuple):
    """Where a method goes from a start."""

    method: str
    rho: float
    weights: np.ndarray
    """Before and after each step, [step + 1, 2]."""

    @property
    def losses(self) -> np.ndarray:
        """The loss at each of the weights, [step + 1]."""
        return np.array(jax.vmap(loss_fn)(jnp.array(self.weights)))

    @property
    def is_stuck(self) -> bool:
        """Whether no step moves."""
        return bool(np.all(self.weights == self.weights[0]))

    def record(self) -> dict[str, Any]:
        """Returns the trajectory for JSON."""
        return {
            "method": self.method,
            "start": _rounded(self.weights[0]),
            "end": _rounded(self.weights[-1]),
            "end_loss": float(self.losses[-1]),
            "largest_loss_of_last_half": float(np.max(self.losses[NUM_STEPS // 2 :])),
            "stuck_from_rho": (
                stuck_from(self.method, self.weights[0])
                if self.method in NORMALIZATIONS
                else None
            ),
            "w1": _rounded(self.weights[:, 0]),
            "w2": _rounded(self.weights[:, 1]),
        }


def _rounded(values: Any) -> list[float]:
    return np.round(np.array(values, np.float64), 5).tolist()


def trajectory(method: str, start: Any, rho: float = RHO) -> Trajectory:
    """Returns the trajectory of a method from a start."""
    weights = train(method, jnp.array(start), jnp.array(rho))
    return Trajectory(method, rho, np.array(weights))


@functools.partial(jax.jit, static_argnames="method")
def climb(method: str, start: jax.Array, rho: jax.Array) -> jax.Array:
    """Returns the point w + eps of the first step of SAM or ASAM, [2]."""
    normalization = NORMALIZATIONS[method]
    grads = jax.grad(loss_fn)(start)
    return start + asam_jax.perturbation(start, grads, rho, normalization=normalization)


def stuck_from(method: str, start: Any) -> float:
    """Returns the smallest rho at which SAM or ASAM never leaves a start.

    There w + eps has no gradient. As eps is proportional to rho, it has none at any
    larger rho either, so that bisection finds the smallest.
    """
    low, high = 0.0, 4.0
    while high - low > 1e-6:
        rho = (low + high) / 2
        _, w2 = climb(method, jnp.array(start), jnp.array(rho))
        low, high = (rho, high) if w2 > 0 else (low, rho)
    return high


def smallest_w2(method: str, start: Any) -> list[float]:
    """Returns the smallest w2 on the way from a start, for each of `RHOS`."""
    weights = jax.vmap(functools.partial(train, method, jnp.array(start)))(
        jnp.array(RHOS)
    )
    return _rounded(jnp.min(weights[:, :, 1], axis=1))
