"""The ascent on eight devices: one perturbation for all, or one on each."""

import functools
import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import asam_jax
from tests import nets

assert_close = functools.partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-6)

RHO, ETA, LEARNING_RATE = 0.5, 0.01, 0.1
PARAMS = nets.init_mlp(jax.random.key(0), sizes=(8, 8))
BATCH = nets.regression_batch(jax.random.key(1), 16, sizes=(8, 8))
ON_DATA = {"layer0": {"kernel": P("data"), "bias": P("data")}}
REPLICATED = {"layer0": {"kernel": P(), "bias": P()}}

grad_fn = jax.grad(nets.mlp_loss)


def climb(params, grads, bias_scale):
    """``w + rho T^2 g / ||T g||``, with ``T = |w| + eta`` for kernels."""
    scales = {
        name: {
            "kernel": jnp.abs(layer["kernel"]) + ETA,
            "bias": jnp.full_like(layer["bias"], bias_scale),
        }
        for name, layer in params.items()
    }
    scaled = jax.tree.map(jnp.multiply, scales, grads)
    norm = math.sqrt(sum(float(jnp.sum(x**2)) for x in jax.tree.leaves(scaled)))
    return jax.tree.map(lambda w, t, x: w + RHO * t * x / norm, params, scales, scaled)


@functools.cache
def step_by_groups(num_groups, bias_scale=1):
    """The step that averages the gradients of one group after the other."""

    def ascended(*part):
        perturbed = climb(PARAMS, gradient(PARAMS, *part), bias_scale)
        return gradient(perturbed, *part)

    gradient = jax.jit(grad_fn)
    parts = [jnp.split(x, num_groups) for x in BATCH]
    mean = jax.tree.map(lambda *grads: sum(grads) / num_groups, *map(ascended, *parts))
    return jax.tree.map(lambda w, g: w - LEARNING_RATE * g, PARAMS, mean)


def test_groups_make_a_difference_here():
    whole, groups = step_by_groups(1), step_by_groups(8)
    difference = optax.tree.norm(optax.tree.sub(whole, groups))
    assert difference > 0.01 * optax.tree.norm(optax.tree.sub(whole, PARAMS))


def make_mesh(axis_type, shape=(8,), names=("data",)):
    return jax.make_mesh(shape, names, axis_types=(axis_type,) * len(names))


def place(mesh, tree, specs):
    return jax.device_put(
        tree, jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)
    )


@pytest.mark.parametrize("specs", [REPLICATED, ON_DATA], ids=["replicated", "sharded"])
@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
def test_under_jit_there_is_one_perturbation_for_all_devices(axis_type, specs):
    mesh = make_mesh(axis_type)
    optimizer = optax.chain(asam_jax.asam(RHO, ETA), optax.sgd(LEARNING_RATE))

    def loss_fn(params, inputs, targets):
        if axis_type is AxisType.Explicit:  # gathers the shards, as FSDP does
            params = jax.tree.map(lambda w: jax.sharding.reshard(w, P()), params)
        return nets.mlp_loss(params, inputs, targets)

    @jax.jit
    def step(params, opt_state, *batch):
        gradient = jax.grad(loss_fn)
        updates, opt_state = optimizer.update(
            gradient(params, *batch),
            opt_state,
            params,
            grad_fn=lambda p: gradient(p, *batch),
        )
        return optax.apply_updates(params, updates), opt_state

    with jax.set_mesh(mesh):
        params = place(mesh, PARAMS, specs)
        batch = place(mesh, BATCH, (P("data"), P("data")))
        stepped, _ = step(params, optimizer.init(params), *batch)
    assert_close(jax.device_get(stepped), step_by_groups(1))
    if axis_type is AxisType.Explicit:
        shardings = [jax.tree.map(jax.typeof, tree) for tree in (stepped, params)]
        assert shardings[0] == shardings[1]


@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
def test_under_jit_groups_give_each_device_its_perturbation(axis_type):
    mesh = make_mesh(axis_type)
    ascend = jax.jit(
        asam_jax.value_and_grad(
            nets.mlp_loss,
            rho=RHO,
            normalization=asam_jax.elementwise(ETA),
            num_groups=8,
        )
    )
    with jax.set_mesh(mesh):
        params = place(mesh, PARAMS, REPLICATED)
        batch = place(mesh, BATCH, (P("data"), P("data")))
        loss, grads = jax.device_get(ascend(params, *batch))
    assert_close(loss, nets.mlp_loss(PARAMS, *BATCH))
    assert_close(optax.tree.add_scale(PARAMS, -LEARNING_RATE, grads), step_by_groups(8))


def optimizer_per_device(axis_name, ascent=None):
    """Ascent on each device, then the mean of their gradients and the descent."""
    return optax.chain(
        ascent or asam_jax.asam(RHO, ETA, axis_name=axis_name),
        optax.stateless(lambda updates, _: jax.lax.pmean(updates, axis_name)),
        optax.sgd(LEARNING_RATE),
    )


def step_on_each_device(optimizer, params, opt_state, *batch, cast=lambda p: p):
    """A step from inside `jax.shard_map` or `jax.pmap`, on this device's batch."""
    updates, opt_state = optimizer.update(
        grad_fn(cast(params), *batch),
        opt_state,
        params,
        grad_fn=lambda p: grad_fn(p, *batch),
    )
    return optax.apply_updates(params, updates), opt_state


def make_varying(axis_name):
    return lambda params: jax.lax.pcast(params, axis_name, to="varying")


def sharded(step, mesh, check_vma=True):
    """`step` under `jax.jit` and `jax.shard_map`, with the batch over all axes."""
    batch_spec = P(mesh.axis_names)
    return jax.jit(
        jax.shard_map(
            step,
            mesh=mesh,
            in_specs=(P(), P(), batch_spec, batch_spec),
            out_specs=P(),
            check_vma=check_vma,
        )
    )


@pytest.mark.parametrize("check_vma", [True, False])
def test_under_shard_map_each_device_climbs_by_itself(check_vma):
    optimizer = optimizer_per_device("data")
    cast = make_varying("data") if check_vma else lambda params: params
    step = functools.partial(step_on_each_device, optimizer, cast=cast)
    step = sharded(step, make_mesh(AxisType.Auto), check_vma)
    params, opt_state = step(PARAMS, optimizer.init(PARAMS), *BATCH)
    assert_close(params, step_by_groups(8))
    assert int(opt_state[0].step) == 1


def test_under_shard_map_parameters_that_are_masked_out_have_their_own_gradient_too():
    # They are not moved by a perturbation that varies: without a cast their gradient
    # would be summed over the devices.
    mask = {"layer0": {"kernel": True, "bias": False}}
    ascent = asam_jax.asam(RHO, ETA, axis_name="data", mask=mask)
    optimizer = optimizer_per_device("data", ascent)
    cast = make_varying("data")
    step = functools.partial(step_on_each_device, optimizer, cast=cast)
    step = sharded(step, make_mesh(AxisType.Auto))
    params, _ = step(PARAMS, optimizer.init(PARAMS), *BATCH)
    assert_close(params, step_by_groups(8, bias_scale=0))


def test_under_shard_map_parameters_may_vary_already():
    optimizer = optimizer_per_device("data")

    def step(params, opt_state, *batch):
        varying = make_varying("data")(params)
        stepped, opt_state = step_on_each_device(optimizer, varying, opt_state, *batch)
        return jax.lax.pmean(stepped, "data"), opt_state

    params, _ = sharded(step, make_mesh(AxisType.Auto))(
        PARAMS, optimizer.init(PARAMS), *BATCH
    )
    assert_close(params, step_by_groups(8))


def test_devices_of_two_axes_climb_by_themselves():
    axes = ("data", "model")
    optimizer = optimizer_per_device(axes)
    step = functools.partial(step_on_each_device, optimizer, cast=make_varying(axes))
    step = sharded(step, make_mesh(AxisType.Auto, (4, 2), axes))
    params, _ = step(PARAMS, optimizer.init(PARAMS), *BATCH)
    assert_close(params, step_by_groups(8))


def test_devices_along_one_of_two_axes_share_a_perturbation():
    """The gradient is averaged over "model", and each row of "data" climbs."""
    optimizer = optimizer_per_device("data")

    def step(params, opt_state, *batch):
        def gradient(params):
            both = jax.lax.pcast(params, "model", to="varying")
            return jax.lax.pmean(grad_fn(both, *batch), "model")

        updates, opt_state = optimizer.update(
            gradient(make_varying("data")(params)), opt_state, params, grad_fn=gradient
        )
        return optax.apply_updates(params, updates), opt_state

    step = sharded(step, make_mesh(AxisType.Auto, (4, 2), ("data", "model")))
    params, _ = step(PARAMS, optimizer.init(PARAMS), *BATCH)
    assert_close(params, step_by_groups(4))


def test_under_pmap_each_device_climbs_by_itself():
    optimizer = optimizer_per_device("data")
    step = jax.pmap(
        functools.partial(step_on_each_device, optimizer),
        axis_name="data",
        in_axes=(None, None, 0, 0),
    )
    batch = [x.reshape(8, 2, 8) for x in BATCH]
    params, _ = step(PARAMS, optimizer.init(PARAMS), *batch)
    on_all = jax.tree.map(lambda w: jnp.stack([w] * 8), step_by_groups(8))
    assert_close(params, on_all)


@pytest.mark.parametrize("check_vma", [True, False])
def test_gradients_averaged_in_both_passes_give_one_perturbation(check_vma):
    optimizer = optax.chain(asam_jax.asam(RHO, ETA), optax.sgd(LEARNING_RATE))
    cast = make_varying("data") if check_vma else lambda params: params

    def step(params, opt_state, *batch):
        def gradient(params):
            return jax.lax.pmean(grad_fn(cast(params), *batch), "data")

        updates, opt_state = optimizer.update(
            gradient(params), opt_state, params, grad_fn=gradient
        )
        return optax.apply_updates(params, updates), opt_state

    step = sharded(step, make_mesh(AxisType.Auto), check_vma)
    params, _ = step(PARAMS, optimizer.init(PARAMS), *BATCH)
    assert_close(params, step_by_groups(1))


def test_under_shard_map_an_ascent_may_wait_for_its_step():
    """The branches of the conditional agree in what varies over the axis."""
    optimizer = optimizer_per_device(
        "data",
        optax.conditionally_transform(
            asam_jax.asam(RHO, ETA, axis_name="data"), lambda step, **_: step == 0
        ),
    )
    step = functools.partial(step_on_each_device, optimizer, cast=make_varying("data"))
    step = sharded(step, make_mesh(AxisType.Auto))
    first, opt_state = step(PARAMS, optimizer.init(PARAMS), *BATCH)
    assert_close(first, step_by_groups(8))
    second, _ = step(PARAMS, opt_state, *BATCH)
    grads = jax.jit(grad_fn)(PARAMS, *BATCH)
    assert_close(second, optax.tree.add_scale(PARAMS, -LEARNING_RATE, grads))


def test_a_gradient_that_was_summed_over_the_axis_is_an_error():
    # Without it, each device would climb the same sum and then descend eight times
    # the mean gradient.
    optimizer: Any = optimizer_per_device("data")
    step = functools.partial(step_on_each_device, optimizer)
    step = sharded(step, make_mesh(AxisType.Auto))
    with pytest.raises(ValueError, match=r"already summed.*jax\.lax\.pcast\(params"):
        step(PARAMS, optimizer.init(PARAMS), *BATCH)


@pytest.mark.parametrize("axis_name", ["data", ("data", "model")])
def test_an_axis_that_is_not_bound_is_an_error(axis_name):
    optimizer: Any = asam_jax.asam(RHO, axis_name=axis_name)
    with pytest.raises(ValueError, match=r"not bound.*jax\.shard_map.*axis_name=None"):
        optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS, grad_fn=lambda p: p)
