"""The ascent can be differentiated, with respect to all that it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from .assertions import assert_trees_close

RNG = np.random.default_rng(0)
PARAMS = {
    "dense": {"kernel": jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)},
    "head": {"kernel": jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)},
}
GRADS = jax.tree.map(lambda w: jnp.cos(3 * w), PARAMS)


@pytest.mark.parametrize("magnitude", [0.0, 1e-30, 1e-10, 1.0, 1e15])
def test_derivatives_go_through_the_branch(magnitude):
    def first(grads):
        eps = asam_jax.perturbation(PARAMS, grads, 0.5)
        return eps["head"]["kernel"][0, 0]

    found = jax.jit(jax.grad(first))(jax.tree.map(lambda g: g * magnitude, GRADS))
    if magnitude == 0:
        expected = jax.tree.map(jnp.zeros_like, GRADS)
    else:  # eps does not depend on the size of g
        expected = jax.tree.map(lambda x: x / magnitude, jax.grad(first)(GRADS))
    assert_trees_close(found, expected, rtol=1e-4)


@pytest.mark.parametrize("rho", [0.0, 0.3])
@pytest.mark.parametrize("p", [2, jnp.inf])
def test_eps_is_linear_in_rho_also_at_zero(p, rho):
    climb = lambda rho: asam_jax.perturbation(PARAMS, GRADS, rho, p=p)
    _, slope = jax.jvp(climb, (jnp.float32(rho),), (jnp.float32(1),))
    assert_trees_close(slope, climb(1.0), rtol=1e-5)


def test_without_a_direction_eps_does_not_depend_on_rho():
    zero = jax.tree.map(jnp.zeros_like, GRADS)
    for p in (2, jnp.inf):
        climb = lambda rho: asam_jax.perturbation(PARAMS, zero, rho, p=p)  # noqa: B023
        _, slope = jax.jvp(climb, (jnp.float32(0.3),), (jnp.float32(1),))
        assert_trees_close(slope, zero, rtol=0)


def test_through_the_norm_of_a_filter_that_is_zero():
    filters = jnp.zeros((1, 1, 2, 3)).at[..., 0].set(1.5)

    def scales(kernel):
        return asam_jax.filterwise()({"kernel": kernel})["kernel"]

    def total(kernel):
        return jnp.sum(scales(kernel))

    # Of 2 entries of 1.5 each, twice the norm: 2 * w / ||f||. Of zeros, a subgradient.
    expected = jnp.zeros_like(filters).at[..., 0].set(2**0.5)
    assert_trees_close(jax.grad(total)(filters), expected, rtol=1e-6)
