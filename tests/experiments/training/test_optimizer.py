import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.training.config import Ascent
from experiments.training.optimizer import climb, sgd

PARAMS = {
    "kernel": jnp.array([[0.5, -2.0], [0.0, 0.1]]),
    "bias": jnp.array([3.0, -0.2]),
}
GRADS = {"kernel": jnp.array([[1.0, -0.5], [2.0, -4.0]]), "bias": jnp.array([-1, 0.3])}


def climbed(ascent: Ascent) -> np.ndarray:
    """Returns eps: the four entries of the kernel, then the bias."""
    points = []

    def grad_fn(params):
        points.append(params)
        return params

    optimizer = optax.with_extra_args_support(climb(ascent))
    optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS, grad_fn=grad_fn)
    (point,) = points
    return np.concatenate(
        [np.ravel(point[name] - PARAMS[name]) for name in ("kernel", "bias")]
    )


# By hand from T = |w| + eta for weights and 1 for biases; norms over all entries.
EXPECTED = {
    "identity": np.array([1, -0.5, 2, -4, -1, 0.3]) * 0.5 / np.sqrt(22.34),
    "elementwise": np.array(
        [0.08137468, -0.63199123, 6.257e-05, -0.01514239, -0.3128592, 0.09385776]
    ),
}


@pytest.mark.parametrize("normalization", EXPECTED)
def test_the_ascent_is_that_of_the_paper(normalization):
    eps = climbed(Ascent(rho=0.5, normalization=normalization))
    np.testing.assert_allclose(eps, EXPECTED[normalization], rtol=1e-4, atol=1e-7)


def test_a_matrix_is_no_convolution_filter():
    elementwise, filterwise = (
        climbed(Ascent(rho=0.5, normalization=name))
        for name in ("elementwise", "filterwise")
    )
    np.testing.assert_array_equal(filterwise, elementwise)


def test_eta_and_p_reach_the_ball():
    ascent = Ascent(rho=0.5, normalization="elementwise", eta=1.0, p=np.inf)
    expected = [0.75, -1.5, 0.5, -0.55, -0.5, 0.5]  # rho T sign(g)
    np.testing.assert_allclose(climbed(ascent), expected, rtol=1e-6)


def test_without_a_radius_there_is_no_second_gradient():
    optimizer = sgd(Ascent(), learning_rate=0.1, momentum=0.9, weight_decay=0.5)
    updates, _ = optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS)
    expected = jax.tree.map(lambda g, w: -0.1 * (g + 0.5 * w), GRADS, PARAMS)
    chex.assert_trees_all_close(updates, expected, rtol=1e-6)
