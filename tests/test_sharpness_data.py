"""Sharpness over batches, groups, masks, dtypes and devices."""

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


def test_sharded_parameters_and_batches(trained):
    params, data, _ = trained
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("data")
    sharding = jax.sharding.NamedSharding(mesh, spec)
    expected = asam_jax.sharpness(problems.mlp_loss, params, batches=[data], rho=0.5)
    found = asam_jax.sharpness(
        problems.mlp_loss,
        jax.device_put(params, sharding),
        batches=[jax.device_put(data, sharding)],
        rho=0.5,
    )
    assert found.value == pytest.approx(expected.value, rel=1e-4)
    assert found.eps["layer_0"]["kernel"].sharding.is_equivalent_to(sharding, 2)
