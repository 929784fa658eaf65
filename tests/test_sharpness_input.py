"""What sharpness refuses: bad arguments, bad data and losses that are not functions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax


def one_value(w, batch):
    return jnp.mean(batch * w)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": -1.0}, "rho must be finite and >= 0"),
        ({"p": 3}, "p must be 2 or jax.numpy.inf"),
        ({"batches": []}, "there are no data"),
        ({"batches": [jnp.ones((0, 2))]}, "there are no data"),
        ({"batches": [], "group_size": 2}, "there are no data"),
        ({"batches": iter([jnp.ones((4, 2))])}, "batches is an iterator"),
        ({"batches": jnp.ones((4, 2))}, "batches is one batch"),
        ({"batches": {"x": jnp.ones((4, 2))}}, "batches is one batch"),
        ({"rho": jnp.array(-1.0)}, "rho must be finite and >= 0"),
        ({"rho": np.array(np.nan)}, "rho must be finite and >= 0"),
        ({"num_steps": -1}, "must be >= 0"),
        ({"normalization": lambda w: 0 * w}, "T_w is zero for every parameter"),
        ({"normalization": lambda w: w / 0}, "scales of T_w are not finite"),
        ({"batches": [jnp.ones(())]}, "must agree on the length of axis 0"),
        ({"batches": [(jnp.ones(2), jnp.ones(3))]}, "must agree on the length"),
        ({"batches": [jnp.full((4, 2), jnp.nan)]}, "parameters is not finite"),
        ({"batches": [jnp.full((4, 2), 2e37)]}, "not finite at a point of the ball"),
        ({"num_restarts": 1}, "restarts need a random key"),
        ({"group_size": 0}, "group_size needs batches, and must be at least 1"),
        ({"mask": False}, "nothing to perturb"),
    ],
)
def test_bad_input(arguments, message):
    arguments = {"rho": 10.0, "batches": [jnp.ones((4, 2))]} | arguments
    with pytest.raises(ValueError, match=message):
        asam_jax.sharpness(one_value, jnp.ones(()), **arguments)


def test_complex_parameters_are_refused():
    loss_fn = lambda w: jnp.sum(jnp.abs(w) ** 2)
    with pytest.raises(TypeError, match="is complex"):
        asam_jax.sharpness(loss_fn, jnp.ones(2, jnp.complex64), rho=0.1)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.complex64])
def test_a_loss_of_low_precision_is_refused(dtype):
    loss_fn = lambda w: jnp.sum(w**2).astype(dtype)
    with pytest.raises(ValueError, match="must return float32 or float64"):
        asam_jax.sharpness(loss_fn, jnp.ones(2), rho=0.1)


def test_a_rise_within_the_rounding_of_the_loss_is_none():
    found = asam_jax.sharpness(lambda w: 100 + jnp.sum(w), jnp.ones(2), rho=1e-6)
    assert not found.converged


def test_in_float64_the_rounding_of_the_loss_is_finer():
    with jax.enable_x64(True):
        found = asam_jax.sharpness(
            lambda w: 100 + jnp.sum(w),
            jnp.ones(2),
            rho=1e-6,
            normalization=asam_jax.identity(),
        )
    assert found.value == pytest.approx(1e-6 * 2**0.5, rel=1e-6)
    assert found.converged


def test_a_hessian_that_is_not_finite_is_refused():
    loss_fn, w = lambda w: jnp.sqrt(jnp.sum(w**2)) + jnp.sum(w), jnp.zeros(5)
    with pytest.raises(ValueError, match="Hessian at the parameters is not finite"):
        asam_jax.hessian_eigenvalues(loss_fn, w)
    with pytest.raises(ValueError, match="Hessian at the parameters is not finite"):
        asam_jax.hessian_trace(loss_fn, w, key=jax.random.key(0), num_samples=2)


def test_a_vector_has_the_shapes_of_the_parameters():
    with pytest.raises(ValueError, match="vector has shape"):
        asam_jax.hessian_vector_product(jnp.sum, jnp.ones(3), jnp.ones(1))


def test_a_loss_with_aux_is_refused():
    loss_fn: Any = lambda w: (jnp.sum(w), w)
    with pytest.raises(ValueError, match="must return one number"):
        asam_jax.sharpness(loss_fn, jnp.ones(2), rho=0.1)


def test_a_loss_that_is_random_at_each_trace_is_refused():
    rng = np.random.default_rng(0)
    loss_fn = lambda w: jnp.sum(w**2) + rng.normal()
    with pytest.raises(ValueError, match="loss is not deterministic"):
        asam_jax.sharpness(loss_fn, jnp.ones(2), rho=0.1)


def test_batches_that_change_are_refused():
    class Augmented:
        rng = np.random.default_rng(0)

        def __iter__(self):
            yield jnp.asarray(self.rng.normal(size=(4, 2)), jnp.float32)

    with pytest.raises(ValueError, match="loss is not deterministic"):
        asam_jax.sharpness(one_value, jnp.ones(()), batches=Augmented(), rho=0.1)
