"""Worst-case sharpness against closed forms, brute force and its own definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import problems
from .assertions import assert_trees_close
from .quadratic import quadratic

EVERYWHERE = asam_jax.elementwise(0.0, where=True)
NORMALIZATIONS = {
    "identity": asam_jax.identity(),
    "elementwise": asam_jax.elementwise(0.01, where=True),
    "filterwise": asam_jax.filterwise(
        0.01, where=True, is_filter=lambda path, leaf: leaf.ndim == 2
    ),
}


@pytest.mark.parametrize("definite", [True, False])
@pytest.mark.parametrize("name", ["identity", "elementwise"])
def test_argmax_on_the_ellipsoid(name, definite):
    loss, w = quadratic(seed=1, size=6, definite=definite)
    normalization = NORMALIZATIONS[name]
    params = jnp.asarray(w, jnp.float32)
    found = asam_jax.sharpness(
        loss,
        params,
        rho=0.7,
        normalization=normalization,
        tolerance=1e-5,
        num_restarts=3,
        key=jax.random.key(0),
    )
    eps = loss.argmax_on_ellipsoid(w, np.asarray(normalization(params)), 0.7)
    assert found.converged
    np.testing.assert_allclose(found.value, loss.rise(w, eps), rtol=1e-4)
    np.testing.assert_allclose(found.eps, eps, atol=1e-2 * np.max(np.abs(eps)))


def test_argmax_in_the_cube():
    """With a diagonal Hessian the axes are independent, each highest at an end."""
    w, curvature = np.array([0.5, -2.0, 1.0]), np.array([2.0, 1.0, 3.0])
    found = asam_jax.sharpness(
        lambda w: jnp.sum(jnp.asarray(curvature) * w**2) / 2,
        jnp.asarray(w, jnp.float32),
        rho=0.3,
        p=jnp.inf,
        normalization=EVERYWHERE,
        tolerance=1e-6,
    )
    eps = 0.3 * w
    assert found.converged
    np.testing.assert_allclose(found.eps, eps, rtol=1e-6)
    np.testing.assert_allclose(
        found.value, np.sum(curvature * (w * eps + eps**2 / 2)), rtol=1e-5
    )


def test_maximum_inside_the_ball():
    hill = jnp.array([0.2, -0.1])
    loss = lambda w: -jnp.sum((w - hill) ** 2)
    found = asam_jax.sharpness(
        loss,
        jnp.zeros(2),
        rho=5.0,
        normalization=asam_jax.identity(),
        tolerance=1e-6,
    )
    assert found.converged
    np.testing.assert_allclose(found.eps, hill, atol=1e-4)
    np.testing.assert_allclose(found.value, 0.05, rtol=1e-5)


def wavy(w):
    """A loss with several local maxima."""
    x, y = w["kernel"][0]
    return jnp.sin(3 * x) * jnp.cos(2 * y) + 0.3 * x * y + 0.1 * x**2


@pytest.mark.parametrize("p", [2, jnp.inf])
@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_brute_force_in_two_dimensions(name, p):
    params = {"kernel": jnp.array([[0.7, -0.4]])}
    normalization = NORMALIZATIONS[name]
    rho = 0.8
    line = np.linspace(-rho, rho, 1601)
    delta = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    if p == 2:
        angle = np.linspace(0, 2 * np.pi, 20_001)
        circle = rho * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        inside = delta[np.linalg.norm(delta, axis=-1) <= rho]
        delta = np.concatenate([inside, circle])
    eps = jnp.asarray(delta, jnp.float32) * normalization(params)["kernel"]
    at = lambda e: wavy({"kernel": params["kernel"] + e[None]})
    expected = jnp.max(jax.vmap(at)(eps)) - wavy(params)
    found = asam_jax.sharpness(
        wavy,
        params,
        rho=rho,
        p=p,
        normalization=normalization,
        tolerance=1e-4,
        num_restarts=5,
        key=jax.random.key(0),
    )
    np.testing.assert_allclose(found.value, expected, atol=1e-4)


@pytest.mark.parametrize("p", [2, jnp.inf])
def test_no_steps_is_the_first_order_point(p):
    params = problems.cast(problems.mlp(0, (3, 5, 4), use_bias=True), "float32")
    (batch,) = problems.cast(problems.batches(0, 1, (16, 3)), "float32")
    loss, grads = jax.value_and_grad(problems.mlp_loss)(params, batch)
    eps = asam_jax.perturbation(params, grads, 0.1, p=p)
    found = asam_jax.sharpness(
        problems.mlp_loss, params, batches=[batch], rho=0.1, p=p, num_steps=0
    )
    assert_trees_close(found.eps, eps, rtol=1e-5, atol=1e-7)
    perturbed = problems.mlp_loss(jax.tree.map(jnp.add, params, eps), batch)
    np.testing.assert_allclose(found.clean_loss, loss, rtol=1e-6)
    np.testing.assert_allclose(found.perturbed_loss, perturbed, rtol=1e-5)
    assert found.value == found.perturbed_loss - found.clean_loss


@pytest.fixture(scope="module")
def trained():
    return problems.trained_mlp()


@pytest.mark.parametrize("p", [2, jnp.inf])
@pytest.mark.parametrize("name", ["identity", "elementwise"])
def test_worst_case_is_above_a_thousand_random_points(trained, name, p):
    params, data, batches = trained
    rho = {2: 0.5, jnp.inf: 0.05}[p]
    arguments = {"rho": rho, "p": p, "normalization": NORMALIZATIONS[name]}
    measure = lambda **kwargs: asam_jax.sharpness(
        problems.mlp_loss, params, batches=batches, **arguments, **kwargs
    )
    worst, one_step = measure(), measure(num_steps=0)
    assert worst.converged
    assert worst.value >= one_step.value > 0

    scales = NORMALIZATIONS[name](params)
    rng = np.random.default_rng(0)
    delta = {
        layer: {"kernel": rng.normal(size=(1000, *leaf["kernel"].shape))}
        for layer, leaf in params.items()
    }
    if p == 2:  # on the sphere, higher than inside
        squares = [np.sum(d**2, axis=(1, 2)) for d in jax.tree.leaves(delta)]
        norm = np.sqrt(sum(squares))[:, None, None]
        delta = jax.tree.map(lambda d: rho * d / norm, delta)
    else:
        delta = jax.tree.map(lambda d: rho * np.sign(d), delta)
    at = lambda d: problems.mlp_loss(
        jax.tree.map(lambda w, t, x: w + t * x, params, scales, d), data
    )
    random = jax.vmap(at)(problems.cast(delta, "float32")) - at(
        jax.tree.map(jnp.zeros_like, params)
    )
    assert worst.value >= float(jnp.max(random))


def test_the_maximiser_is_in_the_ball(trained):
    params, _, batches = trained
    for p, rho, order in [(2, 0.5, 2), (jnp.inf, 0.05, np.inf)]:
        found = asam_jax.sharpness(
            problems.mlp_loss, params, batches=batches, rho=rho, p=p
        )
        scales = asam_jax.elementwise()(params)
        delta = jax.tree.map(lambda e, t: np.ravel(e / t), found.eps, scales)
        norm = np.linalg.norm(np.concatenate(jax.tree.leaves(delta)), ord=order)
        assert norm == pytest.approx(rho, rel=1e-4)


def rescaled(params, factors):
    """The same function: each hidden unit's input times, its output by a factor."""
    return {
        "layer_0": {"kernel": params["layer_0"]["kernel"] * factors[None]},
        "layer_1": {"kernel": params["layer_1"]["kernel"] / factors[:, None]},
    }


@pytest.mark.parametrize("p", [2, jnp.inf])
@pytest.mark.parametrize("num_steps", [0, 30])
def test_adaptive_sharpness_is_invariant_to_rescaling(trained, p, num_steps):
    params, _, batches = trained
    twin = rescaled(params, jnp.logspace(-0.5, 0.5, 16))
    measure = lambda w, normalization: (
        asam_jax.sharpness(
            problems.mlp_loss,
            w,
            batches=batches,
            rho={2: 0.5, jnp.inf: 0.05}[p],
            p=p,
            normalization=normalization,
            num_steps=num_steps,
            tolerance=1e-6,
        ).value
    )
    adaptive = measure(params, EVERYWHERE)
    assert measure(twin, EVERYWHERE) == pytest.approx(adaptive, rel=1e-5)
    plain = asam_jax.identity()
    assert measure(twin, plain) != pytest.approx(measure(params, plain), rel=0.05)


def test_a_minimum_needs_restarts():
    loss, w = lambda w: jnp.sum(w**2), jnp.zeros(3)
    stuck = asam_jax.sharpness(loss, w, rho=1.0)
    assert stuck.value == 0
    assert not stuck.converged
    found = asam_jax.sharpness(loss, w, rho=1.0, num_restarts=1, key=jax.random.key(0))
    assert found.value == pytest.approx(1.0, rel=1e-4)


def test_radius_zero():
    found = asam_jax.sharpness(lambda w: jnp.sum(w**2), jnp.ones(3), rho=0.0)
    assert (found.value, found.gap, found.converged) == (0.0, 0.0, True)


def test_a_first_order_point_that_falls_is_left():
    """Where the ball is too large for the gradient, the ascent starts at w."""
    loss, w = lambda w: jnp.sum(jnp.sin(w)), jnp.array([1.5])
    plain = asam_jax.identity()
    one_step = asam_jax.sharpness(loss, w, rho=3.0, normalization=plain, num_steps=0)
    worst = asam_jax.sharpness(loss, w, rho=3.0, normalization=plain, tolerance=1e-6)
    assert one_step.value < 0
    assert worst.perturbed_loss == pytest.approx(1.0, abs=1e-6)


def test_a_kink_stops_the_ascent():
    """At the top of a roof no step rises, and the gap says that it is no summit."""
    found = asam_jax.sharpness(
        lambda w: -jnp.abs(w[0] - 0.3) + 0.1 * w[0],
        jnp.zeros(1),
        rho=1.0,
        normalization=asam_jax.identity(),
    )
    assert found.value == pytest.approx(0.33, abs=1e-3)
    assert not found.converged
    assert found.gap > 0.1
