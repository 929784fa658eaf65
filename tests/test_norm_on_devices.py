"""On eight devices, a norm whose squares leave the range is taken again."""

import functools

import chex
import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import asam_jax
from tests import nets

assert_close = functools.partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-6)

RHO = 0.5
PARAMS = nets.init_mlp(jax.random.key(0), sizes=(8, 8))
BATCH = nets.regression_batch(jax.random.key(1), 16, sizes=(8, 8))
MESH = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
GRADS = jax.grad(nets.mlp_loss)(PARAMS, *BATCH)
TINY = 1e-25  # the squares of such gradients underflow
EPS = asam_jax.perturbation(PARAMS, GRADS, RHO)


@pytest.mark.parametrize("spec", [P(), P("data")], ids=["replicated", "sharded"])
@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
def test_under_jit_a_norm_that_underflows_is_taken_again(axis_type, spec):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(axis_type,))
    ascend = jax.jit(functools.partial(asam_jax.perturbation, rho=RHO))
    with jax.set_mesh(mesh):
        tiny = jax.tree.map(lambda g: TINY * g, GRADS)
        placed = jax.device_put((PARAMS, tiny), NamedSharding(mesh, spec))
        eps = ascend(*placed)
    assert_close(jax.device_get(eps), EPS)


@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
def test_leaves_of_one_shape_may_be_sharded_differently(axis_type):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(axis_type,))
    specs = {"columns": P(None, "data"), "rows": P("data"), "whole": P()}
    keys = dict(zip(specs, jax.random.split(jax.random.key(0), 3), strict=True))
    params = {name: jax.random.normal(key, (8, 8)) for name, key in keys.items()}
    grads = jax.tree.map(jnp.cos, params)
    expected = asam_jax.perturbation(params, grads, RHO)
    shardings = {name: NamedSharding(mesh, spec) for name, spec in specs.items()}
    with jax.set_mesh(mesh):
        placed = (
            jax.device_put(params, shardings),
            jax.device_put(jax.tree.map(lambda g: TINY * g, grads), shardings),
        )
        eps = jax.jit(functools.partial(asam_jax.perturbation, rho=RHO))(*placed)
    assert_close(jax.device_get(eps), expected)


@pytest.mark.parametrize("check_vma", [True, False])
def test_devices_take_the_norm_again_each_for_itself(check_vma):
    @functools.partial(
        jax.shard_map,
        mesh=MESH,
        in_specs=(P(), P(), P("data")),
        out_specs=P("data"),
        check_vma=check_vma,
    )
    def ascend(params, grads, size):
        grads = jax.tree.map(lambda g: size[0] * g, grads)
        eps = asam_jax.perturbation(params, grads, RHO)
        return jax.tree.map(lambda x: x[None], eps)

    sizes = jnp.array([1, TINY, 1, 1, 1e25, TINY, 0, 1])
    eps = jax.device_get(jax.jit(ascend)(PARAMS, GRADS, sizes))
    has_direction = jnp.sign(sizes)
    assert_close(
        eps, jax.tree.map(lambda x: jnp.stack([x * s for s in has_direction]), EPS)
    )


def test_scales_that_know_nothing_of_the_parameters_may_meet_those_that_vary():
    @functools.partial(jax.shard_map, mesh=MESH, in_specs=P(), out_specs=P("data"))
    def ascend(params, grads):
        params = jax.lax.pcast(params, "data", to="varying")
        ones = lambda params: jax.tree.map(lambda w: jnp.float32(1), params)
        eps = asam_jax.perturbation(params, grads, RHO, normalization=ones)
        return jax.tree.map(lambda x: x[None], eps)

    eps = jax.tree.map(lambda x: x[0], jax.jit(ascend)(PARAMS, GRADS))
    sam = asam_jax.perturbation(PARAMS, GRADS, RHO, normalization=asam_jax.identity())
    assert_close(eps, sam)
