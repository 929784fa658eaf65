"""Hessian products, eigenvalues, trace and density of T H T against dense matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import asam_jax

from . import problems
from .assertions import assert_trees_close
from .quadratic import quadratic

RNG = np.random.default_rng(0)
EVERYWHERE = asam_jax.elementwise(0.0, where=True)
NORMALIZATIONS = {"identity": asam_jax.identity(), "elementwise": EVERYWHERE}


def dense(loss, normalization, params):
    """The matrix T H T of a quadratic."""
    scales = np.asarray(normalization(params), float)
    return scales[:, None] * loss.hessian * scales


@pytest.fixture(scope="module", params=NORMALIZATIONS)
def case(request):
    """A quadratic of 8 parameters, w, the normalization, and T H T."""
    loss, w = quadratic(seed=2, size=8, definite=False)
    params = jnp.asarray(w, jnp.float32)
    normalization = NORMALIZATIONS[request.param]
    return loss, params, normalization, dense(loss, normalization, params)


def test_product_is_that_of_the_matrix(case):
    loss, params, normalization, matrix = case
    v = np.random.default_rng(0).normal(size=8)
    product = asam_jax.hessian_vector_product(
        loss, params, jnp.asarray(v, jnp.float32), normalization=normalization
    )
    np.testing.assert_allclose(product, matrix @ v, rtol=1e-4, atol=1e-5)


def test_product_is_the_difference_of_gradients_over_batches():
    params = problems.cast(problems.mlp(0, (3, 5, 4), use_bias=True), "float32")
    (data,) = problems.cast(problems.batches(0, 1, (20, 3)), "float32")
    cut = lambda start, end: jax.tree.map(lambda x: x[start:end], data)
    direction = asam_jax.filter_normalized_direction(jax.random.key(0), params)
    with jax.enable_x64(True):
        wide_params, wide_data, wide = problems.cast(
            jax.tree.map(np.asarray, (params, data, direction)), "float64"
        )
        at = lambda h: jax.grad(problems.mlp_loss)(
            jax.tree.map(lambda w, d: w + h * d, wide_params, wide), wide_data
        )
        expected = jax.tree.map(lambda a, b: (a - b) / 2e-5, at(1e-5), at(-1e-5))
        expected = jax.tree.map(np.asarray, expected)
    product = asam_jax.hessian_vector_product(
        problems.mlp_loss,
        params,
        direction,
        batches=[cut(0, 8), cut(8, 16), cut(16, 20)],
        normalization=asam_jax.identity(),
    )
    expected = problems.cast(expected, "float32")
    assert_trees_close(product, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("num", [1, 3, 8])
def test_largest_eigenvalues_and_their_vectors(case, num):
    loss, params, normalization, matrix = case
    found = asam_jax.hessian_eigenvalues(
        loss, params, num=num, tolerance=1e-6, normalization=normalization
    )
    values = np.linalg.eigvalsh(matrix)[::-1][:num]
    np.testing.assert_allclose(found.values, values, rtol=1e-4, atol=1e-5)
    for value, vector in zip(found.values, found.vectors, strict=True):
        vector = np.asarray(vector)
        np.testing.assert_allclose(matrix @ vector, value * vector, atol=1e-3)
        assert np.linalg.norm(vector) == pytest.approx(1, rel=1e-5)


def test_trace_is_within_its_error(case):
    loss, params, normalization, matrix = case
    found = asam_jax.hessian_trace(
        loss,
        params,
        key=jax.random.key(0),
        num_samples=300,
        normalization=normalization,
    )
    # The variance of v^T M v for signs is 2 sum_{i != j} M_ij^2 (Hutchinson, 1989).
    off_diagonal = matrix - np.diag(np.diag(matrix))
    error = np.sqrt(2 * np.sum(off_diagonal**2) / 300)
    assert found.standard_error == pytest.approx(error, rel=0.25)
    assert abs(found.value - np.trace(matrix)) < 3 * error


def test_density_of_all_steps_is_the_spectrum(case):
    loss, params, normalization, matrix = case
    found = asam_jax.hessian_density(
        loss,
        params,
        key=jax.random.key(0),
        num_samples=2,
        num_steps=8,
        normalization=normalization,
    )
    values = np.linalg.eigvalsh(matrix)
    np.testing.assert_allclose(found.nodes[0], values, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.sum(found.weights, axis=1), 1)


def test_density_has_the_moments_of_the_spectrum():
    """For Gaussian starts the mean over samples of sum_i w_i theta_i is tr(H) / n."""
    loss, w = quadratic(seed=2, size=8, definite=False)
    found = asam_jax.hessian_density(
        loss,
        jnp.asarray(w, jnp.float32),
        key=jax.random.key(0),
        num_samples=100,
        num_steps=3,
        normalization=asam_jax.identity(),
    )
    for power in (1, 2):
        samples = np.sum(found.weights * found.nodes**power, axis=1)
        expected = np.mean(np.linalg.eigvalsh(loss.hessian) ** power)
        error = np.std(samples, ddof=1) / 10
        assert abs(np.mean(samples) - expected) < 3 * error


def test_density_ends_early_in_an_invariant_space():
    curvatures = jnp.array([1.0, 1.0, 1.0, 5.0, 5.0])
    found = asam_jax.hessian_density(
        lambda w: jnp.sum(curvatures * w**2) / 2,
        jnp.ones(5),
        key=jax.random.key(0),
        num_samples=1,
        num_steps=4,
        normalization=asam_jax.identity(),
    )
    np.testing.assert_allclose(found.nodes[0], [1, 5, 0, 0], atol=1e-5)
    np.testing.assert_allclose(np.sum(found.weights), 1)
    np.testing.assert_array_equal(found.weights[0, 2:], 0)


def test_adaptive_curvature_is_invariant_to_rescaling():
    loss_fn = lambda w: (w[0] * w[1] - 2.0) ** 2
    w, twin = jnp.array([3.0, 0.5]), jnp.array([0.75, 2.0])

    def measures(w, normalization):
        eigenvalues = asam_jax.hessian_eigenvalues(
            loss_fn, w, num=2, normalization=normalization
        )
        trace = asam_jax.hessian_trace(
            loss_fn, w, key=jax.random.key(0), normalization=normalization
        )
        return [*eigenvalues.values, trace.value]

    adaptive = measures(w, EVERYWHERE)
    np.testing.assert_allclose(measures(twin, EVERYWHERE), adaptive, rtol=1e-5)
    plain = measures(w, asam_jax.identity())
    assert not np.allclose(measures(twin, asam_jax.identity()), plain, rtol=0.05)


def test_mask_leaves_rows_and_columns_out():
    loss, w = quadratic(seed=2, size=4, definite=False)
    params = {"a": jnp.asarray(w[:2]), "b": jnp.asarray(w[2:]), "n": jnp.array(7)}
    params = problems.cast(params, "float32")
    loss_fn = lambda w: loss(jnp.concatenate([w["a"], w["b"]]))
    mask = {"a": True, "b": False, "n": False}
    found = asam_jax.hessian_eigenvalues(
        loss_fn, params, num=2, normalization=asam_jax.identity(), mask=mask
    )
    values = np.linalg.eigvalsh(loss.hessian[:2, :2])[::-1]
    np.testing.assert_allclose(found.values, values, rtol=1e-4, atol=1e-5)
    assert not np.any(found.vectors[0]["b"])
    product = asam_jax.hessian_vector_product(
        loss_fn, params, params, normalization=asam_jax.identity(), mask=mask
    )
    np.testing.assert_allclose(
        product["a"], loss.hessian[:2, :2] @ w[:2], rtol=1e-4, atol=1e-5
    )
    assert product["n"] == 0


@pytest.mark.parametrize("num", [0, 3])
def test_number_of_eigenvalues_out_of_range(num):
    with pytest.raises(ValueError, match="num must be between 1 and 2"):
        asam_jax.hessian_eigenvalues(lambda w: jnp.sum(w**2), jnp.ones(2), num=num)


def test_too_few_samples():
    loss_fn, w, key = lambda w: jnp.sum(w**2), jnp.ones(2), jax.random.key(0)
    with pytest.raises(ValueError, match="num_samples must be at least 2"):
        asam_jax.hessian_trace(loss_fn, w, key=key, num_samples=1)
    with pytest.raises(ValueError, match="must be at least 1"):
        asam_jax.hessian_density(loss_fn, w, key=key, num_steps=0)


def test_a_linear_loss_has_no_curvature():
    found = asam_jax.hessian_eigenvalues(jnp.sum, jnp.ones(5), num=2)
    np.testing.assert_array_equal(found.values, 0)


def test_parameters_bound_to_no_device_go_with_batches_on_several():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    w, x = jnp.linspace(-1, 1, 4), RNG.normal(size=(16, 4)).astype(np.float32)
    loss_fn = lambda w, x: jnp.mean((x @ w) ** 2)
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    found = asam_jax.hessian_eigenvalues(loss_fn, w, batches=[sharded], num=2)
    expected = np.linalg.eigvalsh(2 * x.T @ x / len(x))[::-1][:2]
    np.testing.assert_allclose(found.values, expected, rtol=1e-4)
