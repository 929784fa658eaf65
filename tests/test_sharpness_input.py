"""What sharpness refuses: bad arguments, bad data and losses that are not functions."""

from typing import Any

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
