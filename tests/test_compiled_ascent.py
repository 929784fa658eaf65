"""Compiled, the ascent is what it is eagerly, whatever the size of the gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import reference
from .assertions import assert_trees_close

RNG = np.random.default_rng(0)
PARAMS = {
    "dense": {"kernel": RNG.normal(size=(4, 3)), "bias": RNG.normal(size=3)},
    "head": {"kernel": RNG.normal(size=(4, 3))},
}
GRADS = jax.tree.map(lambda w: RNG.normal(size=w.shape), PARAMS)
NORMALIZATIONS = {"SAM": asam_jax.identity(), "ASAM": asam_jax.elementwise()}


def as_float32(tree):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)


@functools.cache
def compiled(name):
    normalization = NORMALIZATIONS[name]
    return jax.jit(
        lambda params, grads: asam_jax.perturbation(
            params, grads, 0.5, normalization=normalization
        )
    )


@pytest.mark.parametrize("name", NORMALIZATIONS)
@pytest.mark.parametrize(
    "magnitude",
    [1e-33, 1e-30, 1e-21, 1e-19, 3e-19, 1e-15, 1e-12, 1e-3, 1.0, 1e15, 1e20, 1e37],
)
def test_no_magnitude_of_the_gradients_changes_the_perturbation(name, magnitude):
    params, grads = as_float32(PARAMS), as_float32(GRADS)
    expected = asam_jax.perturbation(
        params, grads, 0.5, normalization=NORMALIZATIONS[name]
    )
    scaled = jax.tree.map(lambda g: g * jnp.float32(magnitude), grads)
    assert_trees_close(compiled(name)(params, scaled), expected, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf])
def test_no_direction_no_step(value):
    params, grads = as_float32(PARAMS), as_float32(GRADS)
    fill = 0.0 if value == 0 else 1.0
    grads = jax.tree.map(lambda g: jnp.full_like(g, fill), grads)
    grads["head"]["kernel"] = grads["head"]["kernel"].at[0, 0].set(value)
    eps = compiled("ASAM")(params, grads)
    assert_trees_close(eps, jax.tree.map(jnp.zeros_like, params), rtol=0)


def test_groups_of_different_magnitude_do_not_disturb_each_other():
    params = as_float32(PARAMS)
    magnitudes = jnp.array([0.0, 1e-30, 1.0, 1e30], jnp.float32)
    grads = jax.tree.map(
        lambda g: jnp.stack([g * magnitude for magnitude in magnitudes]),
        as_float32(GRADS),
    )
    eps = jax.vmap(compiled("ASAM"), in_axes=(None, 0))(params, grads)
    expected = compiled("ASAM")(params, as_float32(GRADS))
    for i, turned_on in enumerate([0, 1, 1, 1]):
        assert_trees_close(
            jax.tree.map(lambda x: x[i], eps),  # noqa: B023
            jax.tree.map(lambda x: x * turned_on, expected),  # noqa: B023
            rtol=1e-5,
        )


def test_squares_of_float32_leaves_beside_float64_leaves_do_not_underflow():
    with jax.enable_x64(True):
        params = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(2, jnp.float64)}
        grads = jax.tree.map(lambda w: jnp.full_like(w, 1e-30), params)
        ascend = jax.jit(
            lambda params, grads: asam_jax.perturbation(
                params, grads, 1.0, normalization=asam_jax.identity()
            )
        )
        eps = ascend(params, grads)
        expected = jax.tree.map(lambda w: jnp.full_like(w, 0.5), params)
        assert_trees_close(eps, expected, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-20, 1e-30, 1e-45, 1e-50])
def test_products_of_float32_leaves_beside_float64_leaves_do_not_underflow(size):
    with jax.enable_x64(True):
        params = {"a": jnp.array([1e-20, 2e-20], jnp.float32), "b": jnp.array([size])}
        ascend = jax.jit(
            functools.partial(
                asam_jax.perturbation,
                rho=0.5,
                normalization=asam_jax.elementwise(0.0, where=lambda path, leaf: True),
            )
        )
        exact = reference.flatten(params)
        scales = {name: np.abs(w) for name, w in exact.items()}
        expected = reference.perturbation(exact, scales, rho=0.5, p=2)
        assert_trees_close(
            ascend(params, params),
            {name: jnp.asarray(x, params[name].dtype) for name, x in expected.items()},
            rtol=1e-6,
        )


def num_branches(program):
    """Counts the cases of several branches that go by a value, not by a constant."""
    by_value, found = {}, 0
    for line in program.splitlines():
        indent = len(line) - len(line.lstrip())
        if "stablehlo.case" in line:
            by_value[indent] = 'stablehlo.case"(%c' not in line
        elif line.strip() == "}, {":
            found += by_value[indent]
    return found


@pytest.mark.parametrize(
    ("platform", "branches"), [("cpu", 1), ("cuda", 0), ("tpu", 0)]
)
def test_only_programs_for_a_cpu_branch(platform, branches):
    tree = [jax.ShapeDtypeStruct((4,), jnp.float32)]
    ascend = jax.jit(functools.partial(asam_jax.perturbation, rho=0.5))
    lowered = ascend.trace(tree, tree).lower(lowering_platforms=(platform,))
    assert num_branches(lowered.as_text()) == branches


def test_of_leaves_of_one_type_the_branch_takes_one_sum():
    # XLA on CPU allocates for each, taken or not.
    shapes = [(4, 3), (4, 3), (4, 3), (3,), (3,)]
    tree = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    program = jax.jit(functools.partial(asam_jax.perturbation, rho=0.5)).lower(
        tree, tree
    )
    assert program.as_text().count("stablehlo.reduce(") == len(shapes) + 2
