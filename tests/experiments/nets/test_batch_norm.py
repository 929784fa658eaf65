import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import functional
from tests.experiments.nets import reference as ref
from tests.experiments.nets.problems import apply, images, variables


@pytest.fixture
def net():
    return functional(lambda rngs: BatchNorm(5))


@pytest.mark.parametrize("train", [False, True])
def test_it_agrees_with_numpy(net, train):
    params, state = variables(net)
    x = 3 * images(4, 6, 6, 5) + 1
    y, _ = apply(net, params, state, x, train=train)
    expected = ref.batch_norm(x, params, state, train=train)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_training_averages_the_statistics(net):
    params, state = variables(net)
    x = 3 * images(4, 6, 6, 5) + 1
    _, new_state = apply(net, params, state, x, train=True)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(
        new_state["mean"], 0.9 * state["mean"] + 0.1 * mean, 1e-5
    )
    np.testing.assert_allclose(new_state["var"], 0.9 * state["var"] + 0.1 * var, 1e-5)


def test_evaluation_leaves_the_statistics(net):
    params, state = variables(net)
    _, new_state = apply(net, params, state, images(4, 6, 6, 5), train=False)
    jax.tree.map(np.testing.assert_array_equal, new_state, state)


def test_a_large_mean_costs_no_precision(net):
    # E[x^2] - E[x]^2 in float32 would be off by a tenth here.
    params, state = variables(net)
    x = images(4, 6, 6, 5) + 1000
    y, _ = apply(net, params, state, x, train=True)
    expected = ref.batch_norm(x.astype(np.float64), params, state, train=True)
    np.testing.assert_allclose(y, expected, atol=1e-3)


def test_bfloat16_goes_through_and_statistics_stay_float32(net):
    params, state = variables(net)
    half = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), params)
    x = jnp.asarray(images(4, 6, 6, 5), jnp.bfloat16)
    text = str(jax.make_jaxpr(lambda *args: net.apply(*args, True))(half, state, x))
    assert "bf16[4,6,6,5] = convert_element_type" in text
    _, new_state = apply(net, half, state, x, train=True)
    _, expected = apply(net, params, state, x.astype(jnp.float32), train=True)
    assert new_state["mean"].dtype == new_state["var"].dtype == jnp.float32
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, 1e-5), new_state, expected
    )
