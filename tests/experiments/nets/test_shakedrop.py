import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.nets.functional import functional
from experiments.nets.shakedrop import ShakeDrop, shake_drop

SURVIVAL = 0.7
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def factors():
    """Forward and backward factors of 20,000 examples of three values each."""
    x = jnp.full((20_000, 3), 2.0)
    y, pull_back = jax.vjp(lambda x: shake_drop(KEY, x, SURVIVAL), x)
    (grads,) = pull_back(jnp.full_like(x, 4.0))
    return np.asarray(y) / 2, np.asarray(grads) / 4


def test_one_draw_serves_an_example(factors):
    for factor in factors:
        np.testing.assert_allclose(factor, np.tile(factor[:, :1], 3), rtol=1e-6)
        assert len(np.unique(factor[:, 0])) > 1000


def test_survivors_pass_unchanged_both_ways(factors):
    forward, backward = (factor[:, 0] for factor in factors)
    np.testing.assert_array_equal(forward == 1, backward == 1)
    # The standard deviation is 0.003.
    np.testing.assert_allclose((forward == 1).mean(), SURVIVAL, atol=0.015)


def test_the_others_get_independent_uniform_factors(factors):
    forward, backward = (factor[:, 0] for factor in factors)
    alpha, beta = forward[forward != 1], backward[backward != 1]
    quantiles = np.linspace(0, 1, 11)
    np.testing.assert_allclose(
        np.quantile(alpha, quantiles), 2 * quantiles - 1, atol=0.06
    )
    np.testing.assert_allclose(np.quantile(beta, quantiles), quantiles, atol=0.03)
    assert abs(np.corrcoef(alpha, beta)[0, 1]) < 0.05  # 0.013


def test_evaluation_is_the_mean_of_training(factors):
    net = functional(lambda rngs: ShakeDrop(SURVIVAL, rngs=rngs))
    x = jnp.arange(6.0).reshape(2, 3)
    evaluated, _ = net.apply({}, {}, x, train=False)
    np.testing.assert_allclose(evaluated, SURVIVAL * x, rtol=1e-6)
    np.testing.assert_allclose(factors[0].mean(), SURVIVAL, atol=0.02)  # 0.004
    trained, _ = net.apply({}, {}, x, train=True, key=KEY)
    assert not np.allclose(trained, evaluated)


def test_a_certain_survivor_is_the_identity():
    x = jnp.arange(24.0).reshape(2, 2, 2, 3)
    np.testing.assert_array_equal(shake_drop(KEY, x, 1.0), x)


def test_keys_and_dtypes():
    x = jnp.ones((8, 2, 2, 3), jnp.bfloat16)
    y = shake_drop(KEY, x, SURVIVAL)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    np.testing.assert_array_equal(y, shake_drop(KEY, x, SURVIVAL))
    assert not np.array_equal(y, shake_drop(jax.random.key(1), x, SURVIVAL))
