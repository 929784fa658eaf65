"""Sharpness over batches, groups, masks, dtypes and devices."""

import dataclasses
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import problems


@pytest.fixture(scope="module")
def trained():
    return problems.trained_mlp()


def test_batches_of_any_size_give_the_same(trained):
    params, data, batches = trained
    whole = asam_jax.sharpness(problems.mlp_loss, params, batches=[data], rho=0.5)
    parts = asam_jax.sharpness(problems.mlp_loss, params, batches=batches, rho=0.5)
    np.testing.assert_allclose(parts.value, whole.value, rtol=1e-4)
    np.testing.assert_allclose(parts.clean_loss, whole.clean_loss, rtol=1e-6)


def test_groups_average_their_own_maxima(trained):
    params, data, batches = trained
    grouped = asam_jax.sharpness(
        problems.mlp_loss, params, batches=batches, rho=0.5, group_size=16
    )
    bounds = [(0, 16), (16, 32), (32, 48), (48, 64), (64, 70)]
    values = [
        asam_jax.sharpness(
            problems.mlp_loss,
            params,
            batches=[jax.tree.map(lambda x, s=slice(*b): x[s], data)],
            rho=0.5,
        ).value
        for b in bounds
    ]
    expected = np.average(values, weights=[end - start for start, end in bounds])
    assert grouped.value == pytest.approx(expected, rel=1e-5)
    assert grouped.eps is None
    whole = asam_jax.sharpness(problems.mlp_loss, params, batches=batches, rho=0.5)
    assert grouped.value > whole.value


def test_mask_keeps_leaves_where_they_are(trained):
    params, _, batches = trained
    params = params | {"count": jnp.array(3)}
    loss_fn = lambda w, batch: problems.mlp_loss(
        {k: w[k] for k in ("layer_0", "layer_1")}, batch
    )
    mask = lambda path, leaf: "layer_0" in jax.tree_util.keystr(path)
    found = asam_jax.sharpness(loss_fn, params, batches=batches, rho=0.5, mask=mask)
    assert found.value > 0
    assert not np.any(found.eps["layer_1"]["kernel"])
    assert found.eps["count"] == 0
    norm = jnp.linalg.norm(
        found.eps["layer_0"]["kernel"]
        / asam_jax.elementwise()(params["layer_0"])["kernel"]
    )
    assert norm == pytest.approx(0.5, rel=1e-4)


def test_bfloat16_parameters_are_perturbed_in_float32(trained):
    params, _, batches = trained
    rounded = problems.cast(params, jnp.bfloat16)
    measure = lambda w: asam_jax.sharpness(
        problems.mlp_loss, w, batches=batches, rho=1e-3
    )
    found = measure(rounded)
    assert found.value == pytest.approx(
        measure(problems.cast(rounded, "float32")).value, rel=1e-6
    )
    assert {x.dtype for x in jax.tree.leaves(found.eps)} == {jnp.dtype("float32")}


def test_loss_is_traced_once_for_all_batches_and_calls(trained):
    params, _, batches = trained
    traces = 0

    def loss_fn(w, batch, scale):
        nonlocal traces
        traces += 1
        return scale * problems.mlp_loss(w, batch)

    measure = lambda scale: asam_jax.sharpness(
        loss_fn,
        params,
        batches=batches,
        args=(jnp.asarray(scale),),
        rho=0.5,
        num_steps=5,
    )
    first = measure(1.0)
    # Two shapes of batch; value (twice, see the check of determinism) and gradient.
    assert traces == 2 * 3
    assert measure(2.0).value == pytest.approx(2 * first.value, rel=1e-4)
    assert traces == 2 * 3


def spread(params, batch):
    """A loss without labels: the newest JAX cannot pick by them on an Explicit mesh."""
    hidden = jax.nn.relu(batch.images @ params["layer_0"]["kernel"])
    return jnp.mean((hidden @ params["layer_1"]["kernel"]) ** 2)


@pytest.mark.parametrize("axis_type", ["Auto", "Explicit"])
def test_sharded_parameters_and_batches(trained, axis_type):
    params, data, _ = trained
    axis_types = (jax.sharding.AxisType[axis_type],)
    mesh = jax.make_mesh((2,), ("data",), axis_types=axis_types)
    spec = jax.sharding.PartitionSpec("data")
    sharding = jax.sharding.NamedSharding(mesh, spec)
    expected = asam_jax.sharpness(spread, params, batches=[data], rho=0.5)
    found = asam_jax.sharpness(
        spread,
        jax.device_put(params, sharding),
        batches=[jax.device_put(data, sharding)],
        rho=0.5,
    )
    assert found.value == pytest.approx(expected.value, rel=1e-4)
    assert found.eps["layer_0"]["kernel"].sharding.is_equivalent_to(sharding, 2)


def test_a_loss_is_released_with_what_it_captures():
    class Captured:
        pass

    captured = Captured()
    loss_fn = lambda w, kept=captured: jnp.sum(w**2)
    asam_jax.sharpness(loss_fn, jnp.ones(2), rho=0.1, num_steps=1)
    gone = weakref.ref(captured)
    del loss_fn, captured
    gc.collect()
    assert gone() is None


def test_a_method_of_a_changing_object_is_compiled_at_each_call():
    class Scaled:
        scale = 1.0

        def loss(self, w):
            return self.scale * jnp.sum(w**2)

    model = Scaled()
    measure = lambda: asam_jax.sharpness(model.loss, jnp.ones(2), rho=0.1).value
    before = measure()
    model.scale = 10.0
    assert measure() == pytest.approx(10 * before, rel=1e-4)


def test_a_loss_that_is_not_hashable(trained):
    @dataclasses.dataclass
    class Loss:
        power: int

        def __call__(self, w):
            return jnp.sum(w**self.power)

    found = asam_jax.sharpness(Loss(2), jnp.ones(2), rho=0.1)
    assert found.value > 0


def test_an_empty_batch_counts_for_nothing(trained):
    params, data, batches = trained
    empty = jax.tree.map(lambda x: x[:0], data)
    measure = lambda batches: asam_jax.sharpness(
        problems.mlp_loss, params, batches=batches, rho=0.5
    )
    assert measure([*batches, empty]).value == measure(batches).value


def test_mixed_precision_under_x64():
    """Each leaf of a mixed tree keeps its dtype, whatever the scales'."""
    with jax.enable_x64(True):
        params = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(3, jnp.float64)}
        dtypes = set()

        def loss_fn(w):
            dtypes.add((w["a"].dtype.name, w["b"].dtype.name))
            return jnp.sum(w["a"] ** 2) + jnp.sum(w["b"] ** 2)

        found = asam_jax.sharpness(
            loss_fn,
            params,
            rho=0.1,
            normalization=asam_jax.elementwise(np.float64(0.01)),
            num_restarts=1,
            key=jax.random.key(0),
        )
        asam_jax.hessian_trace(
            loss_fn,
            params,
            key=jax.random.key(0),
            num_samples=2,
            normalization=asam_jax.elementwise(np.float64(0.01)),
        )
        assert found.value > 0
    assert dtypes == {("float32", "float64")}
