"""Complex parameters: the climb ascends, in the ball of complex moduli."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from .assertions import assert_trees_close

NORMS = pytest.mark.parametrize("p", [2, np.inf])
RHO = 0.1


def random_complex(rng, *shape):
    return np.complex64(rng.normal(size=shape) + 1j * rng.normal(size=shape))


@NORMS
def test_eps_of_a_linear_loss_is_the_closed_form(p):
    # L(z) = Re sum conj(c) z rises fastest along c: eps = rho T^2 c / ||T c||, or
    # rho T c / |c|.
    rng = np.random.default_rng(0)
    c, w = random_complex(rng, 3, 4), random_complex(rng, 3, 4)
    grads = jax.grad(lambda z: jnp.sum(jnp.real(jnp.conj(c) * z)))(jnp.asarray(w))
    eps = asam_jax.perturbation(
        {"kernel": w},
        {"kernel": grads},
        RHO,
        normalization=asam_jax.elementwise(eta=0.5),
        p=p,
    )
    scale = np.abs(w) + 0.5
    if p == 2:
        expected = RHO * scale**2 * c / np.linalg.norm(scale * c)
    else:
        expected = RHO * scale * c / np.abs(c)
    assert_trees_close(eps, {"kernel": jnp.asarray(expected)}, rtol=1e-5)


def loss_fn(params):
    """A smooth loss that is no analytic function of its complex parameters."""
    x = jnp.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]])
    hidden = jnp.tanh(jnp.abs(x @ params["kernel"]) + params["bias"][None])
    return jnp.mean((jnp.real(hidden @ params["head"]) - 0.3) ** 2)


def problem():
    rng = np.random.default_rng(1)
    return {
        "kernel": jnp.asarray(random_complex(rng, 3, 4)),
        "bias": jnp.float32(rng.normal(size=4)),
        "head": jnp.asarray(random_complex(rng, 4)),
    }


def moved(params, direction, h):
    return jax.tree.map(lambda w, d: w + h * d, params, direction)


@jax.jit
def slope(params, direction, h=1e-5):
    """The central difference of the loss along a direction."""
    rise = loss_fn(moved(params, direction, h)) - loss_fn(moved(params, direction, -h))
    return rise / (2 * h)


def radius(direction, scales, p):
    quotients = jax.tree.map(lambda d, s: np.ravel(np.abs(d) / s), direction, scales)
    return np.linalg.norm(np.concatenate(jax.tree.leaves(quotients)), ord=p)


def points_of_unit_radius(eps, scales, p):
    """Random points of the ball, of which the later ones are close to eps."""
    rng = np.random.default_rng(2)

    def near(e, scale, closeness):
        noise = rng.normal(size=e.shape)
        noise = noise + 1j * rng.normal(size=e.shape) if np.iscomplexobj(e) else noise
        return closeness * np.asarray(e) + np.asarray(scale) * noise

    for closeness in (0.0, 0.0, 0.0, 3.0, 30.0):
        other = jax.tree.map(functools.partial(near, closeness=closeness), eps, scales)
        length = radius(other, scales, p)
        yield jax.tree.map(lambda x, length=length: jnp.asarray(x / length), other)


@NORMS
@pytest.mark.parametrize("operator", ["identity", "elementwise", "filterwise"])
def test_no_other_point_of_the_ball_rises_faster(operator, p):
    normalization = getattr(asam_jax, operator)()
    params = problem()
    eps = asam_jax.perturbation(
        params, jax.grad(loss_fn)(params), 1.0, normalization=normalization, p=p
    )
    scales = normalization(params)
    np.testing.assert_allclose(radius(eps, scales, p), 1.0, rtol=1e-5)
    assert loss_fn(moved(params, eps, 0.01)) > loss_fn(params)
    with jax.enable_x64(True):  # central differences need the digits
        widen = lambda x: x.astype(jnp.promote_types(x.dtype, "float64"))
        params, widened = jax.tree.map(widen, (params, eps))
        for other in points_of_unit_radius(eps, scales, p):
            assert slope(params, other) < slope(params, widened)


def test_sam_is_that_of_the_net_of_real_and_imaginary_parts():
    def join(parts):
        return jax.tree.map(jax.lax.complex, parts["real"], parts["imag"])

    params = {k: x for k, x in problem().items() if k != "bias"}
    with_bias = lambda params: {**params, "bias": jnp.zeros(4)}
    parts = {
        "real": jax.tree.map(jnp.real, params),
        "imag": jax.tree.map(jnp.imag, params),
    }
    complex_loss = lambda params: loss_fn(with_bias(params))
    real_loss = lambda parts: complex_loss(join(parts))
    climb = lambda w, loss: asam_jax.perturbation(
        w, jax.grad(loss)(w), RHO, normalization=asam_jax.identity()
    )
    assert_trees_close(
        climb(params, complex_loss), join(climb(parts, real_loss)), rtol=1e-4, atol=1e-7
    )


@NORMS
def test_a_step_uses_the_gradient_at_the_risen_point(p):
    params = problem()
    optimizer = asam_jax.asam(rho=RHO, p=p)
    gradient = jax.grad(loss_fn)
    grads = gradient(params)
    ascended, _ = optimizer.update(
        grads, optimizer.init(params), params, grad_fn=gradient
    )
    eps = asam_jax.perturbation(params, grads, RHO, p=p)
    expected = gradient(jax.tree.map(jnp.add, params, eps))
    assert_trees_close(ascended, expected, rtol=1e-5, atol=1e-7)


@NORMS
@pytest.mark.parametrize("value", [1e-37, 1e30])
def test_tiny_and_huge_complex_gradients(value, p):
    params = {"kernel": jnp.ones(2, jnp.complex64)}
    grads = {"kernel": jnp.array([3 + 4j, 4 - 3j], jnp.complex64) * value}
    eps = asam_jax.perturbation(
        params, grads, 1.0, normalization=asam_jax.identity(), p=p
    )
    length = np.sqrt(0.5) if p == 2 else 1.0
    expected = length * jnp.array([0.6 - 0.8j, 0.8 + 0.6j], jnp.complex64)
    assert_trees_close(eps, {"kernel": expected}, rtol=1e-6)


@NORMS
@pytest.mark.parametrize("value", [0, complex(0, np.nan), complex(np.inf, 1)])
def test_without_a_direction_eps_is_zero(value, p):
    params = {"kernel": jnp.ones(2, jnp.complex64)}
    grads = {"kernel": jnp.full(2, value, jnp.complex64).at[0].set(0)}
    eps = asam_jax.perturbation(params, grads, 1.0, p=p)
    assert_trees_close(eps, {"kernel": jnp.zeros(2, jnp.complex64)}, rtol=0)
