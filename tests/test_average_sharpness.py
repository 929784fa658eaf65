"""Average sharpness against closed forms on quadratics."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from .quadratic import quadratic

EVERYWHERE = asam_jax.elementwise(0.0, where=True)
SIZE = 5


@pytest.mark.parametrize("name", ["identity", "elementwise"])
@pytest.mark.parametrize(
    ("distribution", "p", "variance"),
    [
        ("gaussian", 2, 1.0),
        ("uniform", 2, 1 / (SIZE + 2)),
        ("uniform", jnp.inf, 1 / 3),
    ],
)
def test_half_the_trace_times_the_variance(name, distribution, p, variance):
    """At a stationary point E [<eps, H eps> / 2], for delta of mean 0."""
    loss, w = quadratic(seed=0, size=SIZE, definite=True)
    loss = dataclasses.replace(loss, slope=-loss.hessian @ w)
    params = jnp.asarray(w, jnp.float32)
    normalization = {"identity": asam_jax.identity(), "elementwise": EVERYWHERE}[name]
    found = asam_jax.average_sharpness(
        loss,
        params,
        rho=0.7,
        key=jax.random.key(1),
        num_samples=1000,
        distribution=distribution,
        p=p,
        normalization=normalization,
    )
    scales = np.asarray(normalization(params))
    trace = np.sum(scales**2 * np.diag(loss.hessian))
    expected = 0.7**2 * variance * trace / 2
    assert found.clean_loss == pytest.approx(float(loss(params)), rel=1e-5)
    assert abs(found.value - expected) < 3 * found.standard_error
    assert found.standard_error < 0.05 * expected


def test_standard_error_is_the_spread_over_the_root_of_the_samples():
    """For a linear loss <g, eps> has the variance rho^2 ||g||^2."""
    slope = jnp.array([3.0, 4.0])
    found = asam_jax.average_sharpness(
        lambda w: slope @ w,
        jnp.ones(2),
        rho=0.1,
        key=jax.random.key(0),
        num_samples=400,
        normalization=asam_jax.identity(),
    )
    assert found.standard_error == pytest.approx(0.5 / 20, rel=0.1)


def test_invariance_to_rescaling():
    loss_fn = lambda w: (w[0] * w[1] - 1.0) ** 2
    measure = lambda w: (
        asam_jax.average_sharpness(
            loss_fn,
            jnp.array(w),
            rho=0.3,
            key=jax.random.key(0),
            num_samples=20,
            normalization=EVERYWHERE,
        ).value
    )
    assert measure([3.0, 0.5]) == pytest.approx(measure([0.75, 2.0]), rel=1e-5)


def test_uniform_draws_stay_in_the_ball_and_move_no_masked_leaf():
    params = {"kernel": jnp.array([[2.0, -1.0]]), "bias": jnp.array([5.0])}
    seen = []

    def loss_fn(w):
        jax.debug.callback(lambda w: seen.append(w), w)
        return jnp.sum(w["kernel"])

    asam_jax.average_sharpness(
        loss_fn,
        params,
        rho=0.5,
        key=jax.random.key(0),
        num_samples=30,
        distribution="uniform",
        normalization=EVERYWHERE,
        mask={"kernel": True, "bias": False},
    )
    jax.effects_barrier()
    moves = np.stack([(w["kernel"] - params["kernel"])[0] for w in seen])
    delta = moves / np.array([2.0, 1.0])
    norms = np.linalg.norm(delta, axis=-1)
    assert np.all(norms <= 0.5 * (1 + 1e-5))
    assert np.max(norms) > 0.4
    assert all(w["bias"] == 5.0 for w in seen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": -0.1}, "rho must be finite"),
        ({"num_samples": 1}, "num_samples must be at least 2"),
        ({"distribution": "cauchy"}, 'must be "gaussian" or "uniform"'),
        ({"batches": []}, "there are no data"),
    ],
)
def test_bad_input(arguments, message):
    arguments = {"rho": 0.1, "key": jax.random.key(0)} | arguments
    with pytest.raises(ValueError, match=message):
        asam_jax.average_sharpness(lambda w, *_: jnp.sum(w), jnp.ones(2), **arguments)


def test_a_loss_that_overflows_in_the_ball_is_refused():
    with pytest.raises(ValueError, match="not finite at a random perturbation"):
        asam_jax.average_sharpness(
            lambda w: jnp.sum(jnp.exp(w)), jnp.ones(2), rho=1e3, key=jax.random.key(0)
        )
