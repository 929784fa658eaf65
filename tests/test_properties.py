"""Properties of the ball and of the step, over values, scales, rho, eta and p."""

import functools
from typing import Any

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import asam_jax

from . import reference
from .assertions import assert_trees_close
from .problems import batches, cast, mlp, mlp_loss

NORMALIZATIONS: dict[str, Any] = {
    "identity": lambda eta, **_: asam_jax.identity(),
    "elementwise": asam_jax.elementwise,
    "filterwise": asam_jax.filterwise,
}
# Shapes are fixed, since each new one is compiled anew.
TREES = {
    "dense": {"layer/kernel": (3, 4), "layer/bias": (4,)},
    "convolution": {
        "conv/kernel": (2, 1, 2, 3),
        "norm/scale": (3,),
        "norm/bias": (3,),
    },
    "scalars": {"a/kernel": (1, 1, 1, 1), "a/scale": (), "b/bias": ()},
}

magnitudes = st.floats(2.0**-10, 2.0**10, width=32)
values = magnitudes | magnitudes.map(lambda x: -x) | st.just(0.0)
radii = magnitudes
etas = st.just(0.0) | magnitudes
operators = st.sampled_from(list(NORMALIZATIONS))
norms = st.sampled_from([2, np.inf])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def points(draw):
    """Parameters and gradients of one of the trees, as flat float64 dictionaries."""
    shapes = TREES[draw(st.sampled_from(list(TREES)))]
    # A gradient may be as small as 1e-33 and as large as 1e33.
    magnitude = 10.0 ** draw(st.integers(-30, 30))
    params, grads = (
        {
            k: np.float64(draw(hnp.arrays(np.float32, s, elements=values)))
            for k, s in shapes.items()
        }
        for _ in range(2)
    )
    return params, {k: magnitude * g for k, g in grads.items()}


@functools.partial(jax.jit, static_argnames=("operator", "p", "everywhere"))
def climb_compiled(params, grads, rho, eta, *, operator, p, everywhere):
    where = (lambda path, leaf: True) if everywhere else asam_jax.is_weight
    normalization = NORMALIZATIONS[operator](eta, where=where)
    return asam_jax.perturbation(params, grads, rho, normalization=normalization, p=p)


def climb(params, grads, rho, eta=0.0, *, operator, p, everywhere=False):
    """The library's float32 perturbation of a flat tree."""
    trees = cast((reference.unflatten(params), reference.unflatten(grads)), "float32")
    eps = climb_compiled(
        *trees,
        jnp.float32(rho),
        jnp.float32(eta),
        operator=operator,
        p=p,
        everywhere=everywhere,
    )
    return reference.flatten(eps)


def ball_points(scales, eps, rho, p, seed):
    """Random points on the ball's surface, far from eps and close to it."""
    rng = np.random.default_rng(seed)
    for closeness in (0.0, 0.0, 0.0, 1.0, 10.0, 100.0):
        directions = {
            k: rng.normal(size=x.shape) * scales[k] * rho + closeness * x
            for k, x in eps.items()
        }
        radius = reference.radius(directions, scales, p)
        yield {k: rho * x / radius for k, x in directions.items()} if radius else eps


@given(points(), radii, etas, operators, norms, seeds)
def test_eps_is_the_maximiser_over_the_ball(point, rho, eta, operator, p, seed):
    params, grads = point
    scales = reference.scales(params, operator=operator, eta=eta)
    eps = climb(params, grads, rho, eta, operator=operator, p=p)
    if not any(np.any(scales[k] * g) for k, g in grads.items()):
        assert not any(np.any(x) for x in eps.values())
        return
    np.testing.assert_allclose(reference.radius(eps, scales, p), rho, rtol=1e-5)
    rise = reference.inner(grads, eps)
    for other in ball_points(scales, eps, rho, p, seed):
        assert reference.inner(grads, other) <= rise * (1 + 1e-5)
    # Hölder's inequality: no point can do better than the dual norm.
    scaled = np.concatenate([np.ravel(scales[k] * g) for k, g in grads.items()])
    bound = rho * np.linalg.norm(scaled, ord=2 if p == 2 else 1)
    np.testing.assert_allclose(rise, bound, rtol=1e-5)


@given(points(), radii, etas, operators, norms)
def test_eps_is_that_of_the_reference(point, rho, eta, operator, p):
    params, grads = point
    scales = reference.scales(params, operator=operator, eta=eta)
    expected = reference.perturbation(grads, scales, rho=rho, p=p)
    eps = climb(params, grads, rho, eta, operator=operator, p=p)
    largest = max(np.max(np.abs(x)) for x in expected.values())
    for k in expected:
        np.testing.assert_allclose(eps[k], expected[k], rtol=1e-5, atol=1e-6 * largest)


@given(
    points(),
    radii,
    norms,
    st.floats(1e6, 1e12),
    st.sampled_from(["elementwise", "filterwise"]),
)
def test_sam_is_the_limit_of_a_large_eta(point, rho, p, eta, operator):
    params, grads = point
    sam = climb(params, grads, rho, operator="identity", p=p)
    asam = climb(params, grads, rho / eta, eta, operator=operator, p=p, everywhere=True)
    # T / eta = 1 + |w| / eta, and no weight nor norm of a filter exceeds 2,048.
    for k in sam:
        np.testing.assert_allclose(asam[k], sam[k], rtol=1e-5 + 4 * 2048 / eta)


def float32_trees(elements):
    shapes = TREES["convolution"].items()
    return st.fixed_dictionaries(
        {k: hnp.arrays(np.float32, shape, elements=elements) for k, shape in shapes}
    )


@given(
    float32_trees(st.floats(-(2.0**50), 2.0**50, width=32)),
    float32_trees(st.floats(width=32)),  # NaN, infinite and denormal ones too
    radii,
    etas,
    operators,
    norms,
)
def test_finite_parameters_stay_finite(params, grads, rho, eta, operator, p):
    eps = climb(params, grads, rho, eta, operator=operator, p=p)
    assert all(np.all(np.isfinite(x)) for x in eps.values())
    if not all(np.all(np.isfinite(g)) for g in grads.values()):
        assert not any(np.any(x) for x in eps.values())


HIDDEN = (5, 4)
(RELU_BATCH,) = batches(seed=0, count=1, shape=(16, 3))


def rescaled(params, factors):
    """The net with the same function, the inputs of whose hidden units are scaled."""
    factors = [np.ones(3), *factors, np.ones(4)]
    return {
        f"layer_{i}": {
            name: leaf * factors[i + 1] / (factors[i][:, None] if leaf.ndim == 2 else 1)
            for name, leaf in params[f"layer_{i}"].items()
        }
        for i in range(len(params))
    }


@functools.partial(jax.jit, static_argnames=("operator", "p", "everywhere"))
def losses_compiled(params, rho, *, operator, p, everywhere):
    eps = climb_compiled(
        params,
        jax.grad(mlp_loss)(params, RELU_BATCH),
        rho,
        0.0,
        operator=operator,
        p=p,
        everywhere=everywhere,
    )
    perturbed = optax.tree.add(params, eps)
    return mlp_loss(params, RELU_BATCH), mlp_loss(perturbed, RELU_BATCH)


def losses(params, rho, **settings):
    """L(w) and L(w + eps) in float64, with eta = 0."""
    with jax.enable_x64(True):
        result = losses_compiled(cast(params, "float64"), rho, **settings)
        return tuple(float(loss) for loss in result)


@given(
    seeds,
    st.tuples(
        *(hnp.arrays(np.float64, n, elements=st.floats(0.1, 10)) for n in HIDDEN)
    ),
    st.floats(0.01, 1.0),
    norms,
    st.booleans(),
)
def test_asam_climbs_to_the_same_loss_in_a_rescaled_net(
    seed, factors, rho, p, use_bias
):
    # With biases every parameter has to be normalized; without, the official rule does.
    params = mlp(seed, (3, *HIDDEN, 4), use_bias=use_bias)
    settings = {"operator": "elementwise", "p": p, "everywhere": use_bias}
    expected = losses(params, rho, **settings)
    actual = losses(rescaled(params, factors), rho, **settings)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


@pytest.mark.parametrize("p", [2, np.inf])
@pytest.mark.parametrize(
    ("operator", "use_bias"), [("identity", False), ("elementwise", True)]
)
def test_sam_and_the_official_rule_on_biases_do_not(operator, use_bias, p):
    params = mlp(0, (3, *HIDDEN, 4), use_bias=use_bias)
    settings = {"operator": operator, "p": p, "everywhere": False}
    clean, worst = losses(params, 0.1, **settings)
    factors = [np.full(n, 3.0) for n in HIDDEN]
    rescaled_clean, rescaled_worst = losses(rescaled(params, factors), 0.1, **settings)
    np.testing.assert_allclose(rescaled_clean, clean, rtol=1e-9)
    assert worst - clean > 0.01
    assert abs(rescaled_worst - worst) > 0.1 * (worst - clean)


sgd = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1, momentum=0.9))
mlp_gradient = jax.jit(jax.grad(mlp_loss))


@functools.partial(jax.jit, static_argnames=("operator", "p"))
def updates_at_radius_zero(params, batch, eta, *, operator, p):
    ascent = asam_jax.asam(rho=0.0, normalization=NORMALIZATIONS[operator](eta), p=p)
    optimizer = optax.chain(ascent, sgd)
    gradient = lambda w: mlp_gradient(w, batch)
    opt_state = optimizer.init(params)
    return optimizer.update(gradient(params), opt_state, params, grad_fn=gradient)[0]


@given(seeds, etas, operators, norms)
def test_radius_zero_is_the_base_optimizer(seed, eta, operator, p):
    params = cast(mlp(seed, (3, 4), use_bias=True), "float32")
    (batch,) = cast(batches(seed, count=1, shape=(8, 3)), "float32")
    actual = updates_at_radius_zero(params, batch, eta, operator=operator, p=p)
    expected, _ = sgd.update(mlp_gradient(params, batch), sgd.init(params), params)
    assert_trees_close(actual, expected, rtol=1e-6, atol=1e-7)
