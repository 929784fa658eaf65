"""Gradients, parameters and radii at the ends of the number line, and beyond."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import reference
from .assertions import assert_trees_close

IDENTITY = asam_jax.identity()
NORMS = pytest.mark.parametrize("p", [2, jnp.inf])
compile_ = functools.partial(jax.jit, static_argnames=("normalization", "p"))
# Compiled for a CPU a second norm is taken in a branch, else always.
PATHS = pytest.mark.parametrize("path", [lambda f: f, compile_], ids=["eager", "jit"])
EXTREMES = {
    "float16": [6e-8, 65504.0],
    "bfloat16": [1.1754944e-38, 3.3895314e38],
    "float32": [1.1754944e-38, 1e-37, 1e30, 3.4028235e38],
    "float64": [2.2250738585072014e-308, 1e-300, 1e300, 1.7976931348623157e308],
}


@pytest.mark.parametrize(
    ("dtype", "value"), [(dtype, v) for dtype, vs in EXTREMES.items() for v in vs]
)
@NORMS
@PATHS
def test_tiny_and_huge_gradients_give_the_right_perturbation(dtype, value, p, path):
    scale, sign = np.array([1.0, 2.0, 4.0, 0.5]), np.array([1, -1, 1, -1])
    with jax.enable_x64(dtype == "float64"):
        params = {"kernel": jnp.array(-scale, dtype)}
        grads = {"kernel": jnp.array(value, dtype) * jnp.array(sign, dtype)}
        eps = path(asam_jax.perturbation)(
            params, grads, 0.5, normalization=asam_jax.elementwise(eta=0.0), p=p
        )
        length = scale / np.linalg.norm(scale) if p == 2 else 1.0
        expected = {
            "kernel": jnp.array(0.5 * scale * sign * length, eps["kernel"].dtype)
        }
        assert_trees_close(eps, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_denormal_gradients_are_zero_to_xla_and_give_no_perturbation(dtype):
    if jax.default_backend() != "cpu":
        pytest.skip("a property of XLA on CPU")
    with jax.enable_x64(dtype == "float64"):
        denormal = jnp.finfo(dtype).smallest_subnormal
        grads = {"kernel": jnp.full(2, denormal)}
        assert np.all(np.asarray(grads["kernel"]) > 0)
        assert not jnp.any(grads["kernel"] > 0)
        params = {"kernel": jnp.ones(2, dtype)}
        eps = asam_jax.perturbation(params, grads, 0.5)
        assert not np.any(np.asarray(eps["kernel"]))


@pytest.mark.parametrize(
    "gradient", [[0.0, 0.0], [jnp.nan, 1.0], [jnp.inf, 1.0], [-jnp.inf, jnp.nan]]
)
@NORMS
def test_without_a_direction_the_step_is_a_plain_one(gradient, p):
    params = {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.ones(3)}
    grads = {"kernel": jnp.array(gradient), "bias": jnp.zeros(3)}
    zero = jax.tree.map(jnp.zeros_like, params)
    for normalization in (IDENTITY, asam_jax.elementwise(), asam_jax.filterwise()):
        eps = asam_jax.perturbation(
            params, grads, 0.5, normalization=normalization, p=p
        )
        assert_trees_close(eps, zero, rtol=0)

    optimizer = asam_jax.asam(p=p)
    grad_fn = jax.grad(lambda w: jnp.sum(w["kernel"] ** 2) + jnp.sum(w["bias"]))
    ascended, _ = optimizer.update(
        grads, optimizer.init(params), params, grad_fn=grad_fn
    )
    assert_trees_close(ascended, grad_fn(params), rtol=0)


@pytest.mark.parametrize("rho", [jnp.nan, jnp.inf, -0.5])
@NORMS
def test_a_radius_that_turns_out_to_be_none_gives_no_perturbation(rho, p):
    params = {"kernel": jnp.ones(2)}
    eps = asam_jax.perturbation(params, params, jnp.array(rho), p=p)
    assert_trees_close(eps, {"kernel": jnp.zeros(2)}, rtol=0)


FLOAT32_MAX = float(jnp.finfo(jnp.float32).max)
ELEMENTWISE = asam_jax.elementwise(eta=0.0)
FILTERWISE = asam_jax.filterwise(eta=0.0, is_filter={"kernel": True})


@pytest.mark.parametrize(
    ("normalization", "weight", "gradient", "p"),
    [
        (FILTERWISE, [1e25, 2e25], [1.0, 0.0], 2),
        (FILTERWISE, [1e25, 2e25], [1.0, 0.0], jnp.inf),
        (ELEMENTWISE, [3e38, 1.0], [FLOAT32_MAX, 0.0], 2),
    ],
)
def test_huge_parameters_never_become_nan(normalization, weight, gradient, p):
    params = {"kernel": jnp.array([weight])}
    grads = {"kernel": jnp.array([gradient])}
    eps = asam_jax.perturbation(params, grads, 0.5, normalization=normalization, p=p)
    assert not np.any(np.isnan(params["kernel"] + eps["kernel"]))


@pytest.mark.parametrize(
    ("weight", "gradient"),
    [
        ([3e-25, 4e-25], [1.0, 1.0]),
        ([3e25, 4e25], [1.0, 1.0]),
        ([3e15, 4e15], [1e15, 1e15]),
        ([3e-4, 4e-4], [2e-38, 2e-38]),
        ([3e29, 4e29], [4e-10, 4e-10]),
        ([3e-23, 4e-23], [5e9, 5e9]),
        ([0, 1.0], [1.0, 1e-20]),
        ([0, 1.0], [1e12, 1e-20]),
        ([0, 1e-7], [1e10, 1e-7]),
    ],
)
@PATHS
def test_norm_where_the_square_of_tg_leaves_the_range(weight, gradient, path):
    expected = reference.perturbation(
        {"kernel": np.array(gradient)}, {"kernel": np.array(weight)}, rho=0.5, p=2
    )
    eps = path(asam_jax.perturbation)(
        {"kernel": jnp.array(weight)},
        {"kernel": jnp.array(gradient)},
        0.5,
        normalization=ELEMENTWISE,
    )
    assert_trees_close(
        eps, {"kernel": jnp.asarray(expected["kernel"], "float32")}, rtol=1e-6
    )


def test_a_small_radius_survives_large_scales_and_gradients():
    params = {"kernel": jnp.array([3e10, 4e10])}
    grads = {"kernel": jnp.array([1e30, 1e30])}
    eps = asam_jax.perturbation(params, grads, 1e-13, normalization=ELEMENTWISE)
    assert_trees_close(eps, {"kernel": jnp.array([0.0018, 0.0032])}, rtol=1e-6)


@pytest.mark.parametrize(
    ("weight", "gradient"),
    [
        ([1e-10, 1e-10], [2e-38, 2e-38]),
        ([3e-25, 4e-25], [1e-20, 1e-20]),
        ([3e25, 4e25], [1e25, 1e25]),
        ([0, 1e-30], [1e30, 1e10]),
    ],
)
@PATHS
def test_the_perturbation_is_zero_where_tg_leaves_the_range(weight, gradient, path):
    params = {"kernel": jnp.array(weight)}
    grads = {"kernel": jnp.array(gradient)}
    eps = path(asam_jax.perturbation)(params, grads, 0.5, normalization=ELEMENTWISE)
    assert_trees_close(eps, {"kernel": jnp.zeros(2)}, rtol=0)


def test_infinity_norm_knows_the_sign_of_a_gradient_next_to_a_huge_one():
    params = {"kernel": jnp.ones(2)}
    grads = {"kernel": jnp.array([1e30, -1e-20])}
    eps = asam_jax.perturbation(params, grads, 0.5, normalization=IDENTITY, p=jnp.inf)
    assert_trees_close(eps, {"kernel": jnp.array([0.5, -0.5])}, rtol=1e-6)


def test_infinity_norm_climbs_where_a_scale_is_negative():
    params = {"kernel": jnp.array([-2.0, 3.0])}
    eps = asam_jax.perturbation(
        params, {"kernel": jnp.ones(2)}, 0.5, normalization=lambda w: w, p=jnp.inf
    )
    assert_trees_close(eps, {"kernel": jnp.array([1.0, 1.5])}, rtol=0)
