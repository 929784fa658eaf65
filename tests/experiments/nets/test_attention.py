import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.nets.attention import Attention
from tests.experiments.nets.problems import images

X = jnp.asarray(images(2, 3, 8))


@pytest.fixture(scope="module")
def attention():
    return Attention(8, 2, dropout=0.0, rngs=nnx.Rngs(0))


def attend(attention, mask):
    return attention(X, attention.keys_values(X), jnp.asarray(mask))


def test_a_query_that_sees_one_key_gets_its_value(attention):
    mask = np.eye(3, dtype=bool)[None]
    expected = attention.out(attention.value(X))
    np.testing.assert_allclose(attend(attention, mask), expected, rtol=1e-5, atol=1e-6)


def test_a_query_that_sees_nothing_gets_the_mean_and_finite_gradients(attention):
    mean = jnp.broadcast_to(attention.value(X).mean(1, keepdims=True), X.shape)
    nothing = np.zeros((1, 1, 3), bool)
    actual = attend(attention, nothing)
    np.testing.assert_allclose(actual, attention.out(mean), rtol=1e-5, atol=1e-6)
    grads = jax.grad(
        lambda x: attention(x, attention.keys_values(x), jnp.asarray(nothing)).sum()
    )(X)
    assert np.all(np.isfinite(grads))


def test_initial_projections():
    attention = Attention(64, 4, dropout=0.0, rngs=nnx.Rngs(0))
    bound = np.sqrt(6 / (64 + 64))
    for name, gain in [
        ("query", 2**-0.5),
        ("key", 2**-0.5),
        ("value", 2**-0.5),
        ("out", 1.0),
    ]:
        layer = getattr(attention, name)
        kernel = np.asarray(layer.kernel[...])
        assert 0.98 * gain * bound < abs(kernel).max() <= gain * bound * (1 + 1e-6)
        assert kernel.std() == pytest.approx(gain * bound / np.sqrt(3), rel=0.05)
        np.testing.assert_array_equal(layer.bias[...], 0)


def test_heads_that_do_not_divide_the_features_are_refused():
    with pytest.raises(ValueError, match="3 heads cannot share 8 features"):
        Attention(8, 3, dropout=0.0, rngs=nnx.Rngs(0))
