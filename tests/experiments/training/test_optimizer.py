import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.training.config import Ascent
from experiments.training.optimizer import adam, climb, inverse_square_root, sgd

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


ADAM = {"betas": (0.9, 0.98), "weight_decay": 0.01}
SHAPE = Ascent(rho=0.5, normalization="elementwise")


def grad_fn(params):
    """The gradient of sum (w^4 / 4 - w), which differs from place to place."""
    return jax.tree.map(lambda w: w**3 - 1, params)


def test_adam_behind_an_ascent_is_that_of_numpy():
    """Three steps with bias correction; decay at w, apart from the gradient."""
    schedule = inverse_square_root(0.1, 2)
    optimizer = adam(SHAPE, learning_rate=schedule, **ADAM)
    params, state = PARAMS, optimizer.init(PARAMS)
    w = {name: np.array(x, float) for name, x in PARAMS.items()}
    m, v = ({name: np.zeros(x.shape) for name, x in w.items()} for _ in range(2))
    for t, alpha in ((1, 0.05), (2, 0.1), (3, 0.1 * np.sqrt(2 / 3))):
        updates, state = optimizer.update(
            grad_fn(params), state, params, grad_fn=grad_fn
        )
        params = optax.apply_updates(params, updates)

        grads = {name: x**3 - 1 for name, x in w.items()}
        scale = {"kernel": np.abs(w["kernel"]) + 0.01, "bias": np.ones(2)}
        norm = np.sqrt(sum(np.sum((scale[k] * grads[k]) ** 2) for k in w))
        for k in w:
            g = (w[k] + 0.5 * scale[k] ** 2 * grads[k] / norm) ** 3 - 1
            m[k] = 0.9 * m[k] + 0.1 * g
            v[k] = 0.98 * v[k] + 0.02 * g**2
            step = m[k] / (1 - 0.9**t) / (np.sqrt(v[k] / (1 - 0.98**t)) + 1e-8)
            w[k] = w[k] - alpha * (step + 0.01 * w[k])
        chex.assert_trees_all_close(params, w, rtol=1e-4)


def test_adam_without_an_ascent_is_that_of_optax():
    ours = adam(Ascent(), learning_rate=0.1, **ADAM)
    theirs = optax.adamw(0.1, 0.9, 0.98, weight_decay=0.01)
    params, states = PARAMS, [ours.init(PARAMS), theirs.init(PARAMS)]
    for _ in range(3):
        grads = grad_fn(params)
        updates, states[0] = ours.update(grads, states[0], params)
        expected, states[1] = theirs.update(grads, states[1], params)
        chex.assert_trees_all_equal(updates, expected)
        params = optax.apply_updates(params, updates)


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 1 / 4000), (1999, 1 / 2), (3999, 1), (15_999, 1 / 2), (399_999, 1 / 10)],
)
def test_the_learning_rate_rises_in_a_line_and_falls_as_a_root(step, factor):
    schedule = inverse_square_root(5e-4, 4000)
    rate = jnp.asarray(schedule(jnp.asarray(step)))
    assert rate.item() == pytest.approx(5e-4 * factor, rel=1e-6)


def test_the_learning_rate_is_highest_at_the_end_of_warm_up():
    rates = np.asarray(jax.vmap(inverse_square_root(1.0, 7))(jnp.arange(30)))
    assert np.argmax(rates) == 6
    assert np.all(np.diff(rates[:7]) > 0) and np.all(np.diff(rates[6:]) < 0)


def test_without_a_radius_there_is_no_second_gradient():
    optimizer = sgd(Ascent(), learning_rate=0.1, momentum=0.9, weight_decay=0.5)
    updates, _ = optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS)
    expected = jax.tree.map(lambda g, w: -0.1 * (g + 0.5 * w), GRADS, PARAMS)
    chex.assert_trees_all_close(updates, expected, rtol=1e-6)
