"""The perturbation against published numbers, closed forms and the NumPy reference."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import reference
from .assertions import assert_trees_close
from .problems import cast

RHO = 0.5
WEIGHT, BIAS = np.array([0.5, -2.0, 0.0, 0.1]), np.array([3.0, -0.2])
PARAMS = {"weight": WEIGHT, "bias": BIAS}
GRADS = {"weight": np.array([1.0, -0.5, 2.0, -4.0]), "bias": np.array([-1.0, 0.3])}


def everywhere(path, leaf):
    return True


class Golden(NamedTuple):
    """A convention, and what the official or the davda54 code computes in it."""

    normalization: Any
    scale: dict[str, np.ndarray]
    norm: float
    eps: dict[str, list[float]]


# The eps are rounded to eight decimals, the norms are not.
GOLDEN = {
    "official, eta 0.01": Golden(
        asam_jax.elementwise(eta=0.01),
        {"weight": np.abs(WEIGHT) + 0.01, "bias": np.ones(2)},
        1.5981630079563223,
        {
            "weight": [0.08137468, -0.63199123, 6.257e-05, -0.01514239],
            "bias": [-0.3128592, 0.09385776],
        },
    ),
    "official, eta 0": Golden(
        asam_jax.elementwise(eta=0.0),
        {"weight": np.abs(WEIGHT), "bias": np.ones(2)},
        1.5811388300841898,
        {
            "weight": [0.07905694, -0.63245553, 0.0, -0.01264911],
            "bias": [-0.31622777, 0.09486833],
        },
    ),
    "davda54": Golden(
        asam_jax.elementwise(eta=0.0, where=everywhere),
        {"weight": np.abs(WEIGHT), "bias": np.abs(BIAS)},
        3.2270110009109049,  # the root of 10.4136
        {
            "weight": [0.03873554, -0.30988429, 0.0, -0.00619769],
            "bias": [-1.39447929, 0.00185931],
        },
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_golden_vectors(name, dtype):
    golden = GOLDEN[name]
    with jax.enable_x64(dtype == "float64"):
        params, grads, scale = cast((PARAMS, GRADS, golden.scale), dtype)
        expected = {k: jnp.array(x, dtype) for k, x in golden.eps.items()}
        eps = asam_jax.perturbation(
            params, grads, RHO, normalization=golden.normalization
        )
        assert_trees_close(eps, expected, rtol=3e-7, atol=5e-9)
        # The norm, which ||T g|| = rho T^2 g / eps reveals, is known to 16 digits.
        for k in eps:
            moved = golden.scale[k] > 0
            norm = np.asarray(RHO * scale[k] ** 2 * grads[k])[moved] / eps[k][moved]
            rtol = 1e-14 if dtype == "float64" else 1e-6
            np.testing.assert_allclose(norm, golden.norm, rtol=rtol)


def test_sam_is_the_normalized_gradient():
    params, grads = {"kernel": jnp.full(2, 7.0)}, {"kernel": jnp.array([3.0, -4.0])}
    eps = asam_jax.perturbation(params, grads, 0.1, normalization=asam_jax.identity())
    expected = {"kernel": jnp.array([0.06, -0.08])}
    assert_trees_close(eps, expected, rtol=1e-6)


def test_infinity_norm_moves_every_weight_by_its_whole_scale():
    params, grads = cast((PARAMS, GRADS), "float32")
    eps = asam_jax.perturbation(
        params, grads, 0.1, normalization=asam_jax.elementwise(0.01), p=jnp.inf
    )
    expected = {
        "weight": jnp.array([0.051, -0.201, 0.001, -0.011]),
        "bias": jnp.array([-0.1, 0.1]),
    }
    assert_trees_close(eps, expected, rtol=1e-6)


def test_infinity_norm_leaves_weights_without_gradient_alone():
    params, grads = {"kernel": jnp.ones(2)}, {"kernel": jnp.array([0.0, -1.0])}
    eps = asam_jax.perturbation(params, grads, 0.1, p=jnp.inf)
    assert_trees_close(eps, {"kernel": jnp.array([0.0, -0.101])}, rtol=1e-6)


def test_default_is_the_elementwise_ball_with_eta_one_hundredth():
    params, grads = cast((PARAMS, GRADS), "float32")
    eps = asam_jax.perturbation(params, grads, RHO)
    expected = asam_jax.perturbation(
        params, grads, RHO, normalization=asam_jax.elementwise(eta=0.01), p=2
    )
    assert_trees_close(eps, expected, rtol=0)


class Layer(NamedTuple):
    kernel: Any
    bias: Any


TREES = {
    "bare matrix": np.ones((2, 3)),
    "named tuple": Layer(np.ones((2, 3)), np.ones(3)),
    "None and empty nodes": {"a": None, "kernel": np.ones(2), "c": (), "d": [None]},
    "an empty leaf": {"kernel": np.ones((0, 3)), "bias": np.ones(3)},
    "scalars": [np.float64(2.0), {"scale": np.float64(-3.0)}],
}


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("p", [2, jnp.inf])
def test_any_tree_keeps_its_structure_and_gets_the_whole_radius(name, p):
    params = cast(TREES[name], "float32")
    scales = asam_jax.elementwise()(params)
    eps = asam_jax.perturbation(params, params, RHO, p=p)
    assert jax.tree.structure(eps) == jax.tree.structure(params)
    assert jax.tree.map(jnp.shape, eps) == jax.tree.map(jnp.shape, params)
    quotients = [
        np.ravel(e / s)
        for e, s in zip(jax.tree.leaves(eps), jax.tree.leaves(scales), strict=True)
    ]
    norm = np.linalg.norm(np.concatenate(quotients), ord=p)
    np.testing.assert_allclose(norm, RHO, rtol=1e-6)


def test_scales_of_any_function_are_broadcast():
    params = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
    grads = {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}
    per_column = jnp.array([[1.0, 2.0, 2.0]])

    def normalization(params):
        return {"kernel": per_column, "bias": jnp.ones(())}

    eps = asam_jax.perturbation(params, grads, 1.0, normalization=normalization)
    row = per_column**2 / np.sqrt(2 * (1 + 4 + 4))
    expected = {"kernel": jnp.tile(row, (2, 1)), "bias": jnp.zeros(3)}
    assert_trees_close(eps, expected, rtol=1e-6)


def mask_cases():
    biases_out = {"body": {"kernel": True, "bias": False}, "head": {"kernel": True}}
    return {
        "tree": (biases_out, {"body/bias"}),
        "prefix": ({"body": True, "head": False}, {"head/kernel"}),
        "callable": (lambda path, leaf: leaf.ndim == 2, {"body/bias"}),
        "numpy booleans": (jax.tree.map(np.bool_, biases_out), {"body/bias"}),
        "all": (True, set()),
    }


@pytest.mark.parametrize("name", mask_cases())
@pytest.mark.parametrize("p", [2, np.inf])
def test_masked_leaves_get_zero_and_are_outside_the_norm(name, p):
    mask, unperturbed = mask_cases()[name]
    normal = np.random.default_rng(0).normal
    shapes = {"body/kernel": (3, 4), "body/bias": (4,), "head/kernel": (4, 2)}
    flat_params = {k: normal(size=shape) for k, shape in shapes.items()}
    flat_grads = {k: normal(size=shape) for k, shape in shapes.items()}
    params, grads = cast(
        (reference.unflatten(flat_params), reference.unflatten(flat_grads)), "float32"
    )
    eps = reference.flatten(asam_jax.perturbation(params, grads, RHO, mask=mask, p=p))
    kept = {k: g for k, g in flat_grads.items() if k not in unperturbed}
    scales = reference.scales(flat_params, operator="elementwise", eta=0.01)
    expected = reference.perturbation(kept, scales, rho=RHO, p=p)
    for k in shapes:
        np.testing.assert_allclose(eps[k], expected.get(k, 0.0 * eps[k]), rtol=1e-5)


def test_masked_leaves_may_be_integers_and_their_gradients_anything():
    def loss_fn(params):
        return jnp.sum(params["kernel"] ** 2)

    def floating(path, leaf):
        return jnp.issubdtype(leaf.dtype, jnp.floating)

    params = {"kernel": jnp.array([3.0, 4.0]), "codes": jnp.arange(3)}
    grads = jax.grad(loss_fn, allow_int=True)(params)  # float0 for the integers
    eps = asam_jax.perturbation(
        params, grads, 0.1, normalization=asam_jax.identity(), mask=floating
    )
    expected = {"kernel": jnp.array([0.06, 0.08]), "codes": jnp.zeros(3, jnp.int32)}
    assert_trees_close(eps, expected, rtol=1e-6)

    optimizer = asam_jax.sam(rho=0.1, mask=floating)
    ascended, _ = optimizer.update(
        grads,
        optimizer.init(params),
        params,
        grad_fn=jax.grad(loss_fn, allow_int=True),
    )
    _, kernel_gradient = jax.tree.leaves(ascended)
    expected = 2 * (params["kernel"] + eps["kernel"])
    assert_trees_close(kernel_gradient, expected, rtol=1e-6)


def test_a_masked_leaf_without_finite_gradient_does_not_stop_the_others():
    params = {"kernel": jnp.ones(1), "frozen": jnp.ones(2)}
    grads = {"kernel": jnp.ones(1), "frozen": jnp.array([jnp.nan, jnp.inf])}
    mask = {"kernel": True, "frozen": False}
    eps = asam_jax.perturbation(params, grads, 0.1, mask=mask)
    expected = {"kernel": jnp.array([0.101]), "frozen": jnp.zeros(2)}
    assert_trees_close(eps, expected, rtol=1e-6)


def test_compiles_with_traced_radius_and_eta():
    @jax.jit
    def climb(params, grads, rho, eta):
        normalization = asam_jax.elementwise(eta)
        return asam_jax.perturbation(params, grads, rho, normalization=normalization)

    params, grads = cast((PARAMS, GRADS), "float32")
    for rho, eta in [(0.1, 0.0), (0.7, 0.3)]:
        expected = asam_jax.perturbation(
            params, grads, rho, normalization=asam_jax.elementwise(eta)
        )
        assert_trees_close(climb(params, grads, rho, eta), expected, rtol=1e-6)
