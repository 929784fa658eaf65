"""The ball ||T_w^-1 eps||_p <= rho, in the coordinates delta = T_w^-1 eps.

There it is round (p = 2) or a cube (p = inf) for every T_w: to project on it, or to
draw from it, takes no more than its radius.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from ._typing import PyTree


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["rho"], meta_fields=["p"]
)
@dataclasses.dataclass(frozen=True)
class Ball:
    """All delta with ||delta||_p <= rho, trees of real arrays.

    Attributes:
        rho: The radius, >= 0.
        p: The norm, 2 or infinity.
    """

    rho: float
    p: float

    def project(self, delta: PyTree) -> PyTree:
        """Returns the nearest point of the ball."""
        if self.p != 2:
            return jax.tree.map(lambda d: jnp.clip(d, -self.rho, self.rho), delta)
        norm = euclidean_norm(delta)
        factor = self.rho / jnp.maximum(norm, jnp.where(self.rho > 0, self.rho, 1))
        return _times(factor, delta)

    def linear_gap(self, grads: PyTree, delta: PyTree) -> jax.Array:
        """Returns the rise of a linear loss from delta to the best point of the ball.

        It is ``rho ||g||_q - <g, delta>`` with 1/p + 1/q = 1, the gap of Frank and
        Wolfe: 0 where delta is stationary.
        """
        dual_norm = euclidean_norm(grads) if self.p == 2 else _sum_norm(grads)
        return jnp.asarray(self.rho * dual_norm - inner(grads, delta))

    def euclidean_radius(self, num_axes: int) -> float:
        """Returns the largest Euclidean norm of a point."""
        return self.rho if self.p == 2 else self.rho * num_axes**0.5

    @jax.jit
    def draw(self, key: jax.Array, scales: PyTree) -> PyTree:
        """Draws delta uniformly, over the axes where T_w is not 0."""
        if self.p != 2:
            cube = optax.tree.random_like(key, scales, _symmetric_uniform)
            return jax.tree.map(lambda d: self.rho * d, cube)
        direction_key, radius_key = jax.random.split(key)
        direction = gaussian(direction_key, scales)
        num_axes = sum(jnp.sum(scale != 0) for scale in jax.tree.leaves(scales))
        radius = self.rho * jax.random.uniform(radius_key) ** (1 / num_axes)
        return _times(radius / euclidean_norm(direction), direction)


def gaussian(key: jax.Array, scales: PyTree) -> PyTree:
    """Draws delta from N(0, I), over the axes where T_w is not 0."""
    noise = optax.tree.random_like(key, scales, jax.random.normal)
    return jax.tree.map(lambda d, scale: jnp.where(scale != 0, d, 0), noise, scales)


def inner(x: PyTree, y: PyTree) -> jax.Array:
    """Returns <x, y>; `jnp.vdot` refuses arrays that an Explicit mesh has sharded."""
    products = jax.tree.map(lambda a, b: jnp.sum(a * b), x, y)
    return jnp.asarray(sum(jax.tree.leaves(products)))


def euclidean_norm(x: PyTree) -> jax.Array:
    """Returns the norm of all leaves together."""
    return jnp.sqrt(inner(x, x))


def _sum_norm(x: PyTree) -> jax.Array:
    return inner(x, jax.tree.map(jnp.sign, x))


def _times(factor: jax.Array, tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: factor.astype(x.dtype) * x, tree)


def _symmetric_uniform(key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -1, 1)
