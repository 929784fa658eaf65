"""Half precision, mixed trees and strict promotion: float32 at least, everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import reference
from .assertions import assert_leaves_close, assert_trees_close
from .problems import batches, cast, conv_net, conv_net_loss

IDENTITY = asam_jax.identity()
PARAMS_AND_GRADS = (
    {"kernel": np.array([[1.5, -0.5]]), "bias": np.array([0.25, 2.0])},
    {"kernel": np.array([[0.5, 1.0]]), "bias": np.array([-0.75, 0.5])},
)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float16", 300.0),  # its square overflows
        ("float16", 60000.0),
        ("float16", 1e-4),  # its square underflows
        ("float16", 6e-8),  # the smallest subnormal
        ("bfloat16", 1e30),
        ("bfloat16", 1e-30),
        ("float32", 1e30),
        ("float32", 1e-37),
    ],
)
def test_norm_where_a_square_leaves_the_range_of_the_leaf(dtype, value):
    params = {"kernel": jnp.ones(4, dtype), "bias": jnp.ones(12, dtype)}
    grads = jax.tree.map(lambda leaf: jnp.full_like(leaf, -value), params)
    eps = asam_jax.perturbation(params, grads, 0.4, normalization=IDENTITY)
    expected = {"kernel": jnp.full(4, -0.1), "bias": jnp.full(12, -0.1)}
    assert_trees_close(eps, expected, rtol=1e-6)


def test_norm_where_a_sum_in_bfloat16_saturates():
    # 400 leaves of 16 ones: in bfloat16 4096 + 16 = 4096, and the norm would be 64.
    params = [jnp.ones(16, jnp.bfloat16)] * 400
    eps = asam_jax.perturbation(params, params, 8.0, normalization=IDENTITY)
    assert_trees_close(eps, [jnp.full(16, 8 / 80)] * 400, rtol=1e-6)


def test_mixed_trees_are_computed_in_each_leaf_of_at_least_float32():
    normal = np.random.default_rng(0).normal
    dtypes = {
        "a/kernel": "float16",
        "b/kernel": "bfloat16",
        "b/bias": "float32",
        "c/scale": "float64",
    }

    def unflatten_as(dtypes, flat):
        return reference.unflatten({k: jnp.array(flat[k], dtypes[k]) for k in dtypes})

    with jax.enable_x64(True):
        params, grads = (
            unflatten_as(dtypes, {k: normal(size=(3, 2)) for k in dtypes})
            for _ in range(2)
        )
        eps = asam_jax.perturbation(params, grads, 0.5)
        exact = reference.flatten(params), reference.flatten(grads)
        scales = reference.scales(exact[0], operator="elementwise", eta=0.01)
        expected = reference.perturbation(exact[1], scales, rho=0.5, p=2)
        at_least = {k: jnp.promote_types(d, "float32") for k, d in dtypes.items()}
        assert_trees_close(eps, unflatten_as(at_least, expected), rtol=1e-6)


def test_gradients_may_be_of_lower_precision_than_parameters():
    params = {"kernel": jnp.full(4, 3.0)}
    grads = {"kernel": jnp.full(4, 300.0, jnp.float16)}
    eps = asam_jax.perturbation(params, grads, 0.5, normalization=IDENTITY)
    assert_trees_close(eps, {"kernel": jnp.full(4, 0.25)}, rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "rho"), [("bfloat16", 0.05), ("float16", 0.04), ("float32", 0.05)]
)
def test_weights_that_would_round_back_are_really_perturbed(dtype, rho):
    # Each of 10,000 weights of 1 moves by rho / 100, less than half an ulp in 16 bits.
    params = {"kernel": jnp.ones((100, 100), dtype)}
    if dtype != "float32":
        assert jnp.array(1 + rho / 100, dtype) == 1
    seen = []

    def grad_fn(perturbed):
        seen.append(perturbed)
        return jax.tree.map(lambda leaf: 3 * leaf, perturbed)

    optimizer = asam_jax.sam(rho)
    ascended, _ = optimizer.update(
        params, optimizer.init(params), params, grad_fn=grad_fn
    )
    expected = jnp.full((100, 100), 1 + rho / 100)
    assert_trees_close(seen, [{"kernel": expected}], rtol=1e-7)
    gradient = (3 * expected).astype(dtype)
    assert_trees_close(ascended, {"kernel": gradient}, rtol=0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_convolutional_net_in_half_precision_climbs(dtype):
    params, model_state = conv_net(seed=0)
    params, model_state = cast(params, dtype), cast(model_state, "float32")
    (batch,) = cast(batches(seed=0, count=1, shape=(8, 6, 6, 4)), dtype)
    compiled = jax.jit(jax.grad(conv_net_loss, has_aux=True))
    gradient = lambda params: compiled(params, model_state, batch)[0]
    grads = cast(gradient(cast(params, "float32")), dtype)

    w, g = reference.flatten(params), reference.flatten(grads)
    scales = reference.scales(w, operator="elementwise", eta=0.01)
    eps = reference.perturbation(g, scales, rho=0.5, p=2)
    perturbed = reference.unflatten({k: w[k] + eps[k] for k in w})
    expected = gradient(cast(perturbed, "float32"))

    optimizer = asam_jax.asam()
    opt_state = optimizer.init(params)
    actual, _ = optimizer.update(grads, opt_state, params, grad_fn=gradient)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(actual)} == {dtype}
    assert_leaves_close(actual, expected, tol=0.01)
    with pytest.raises(AssertionError):  # the climb is no smaller than the tolerance
        assert_leaves_close(grads, expected, tol=0.01)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "bfloat16", "float16", "float32"])
def test_under_strict_promotion_the_step_is_the_same(dtype):
    params, grads = cast(PARAMS_AND_GRADS, dtype)
    rho = jnp.asarray(0.5, jnp.bfloat16)
    wide_params, wide_grads = cast((params, grads), "float32")
    expected = asam_jax.perturbation(wide_params, wide_grads, 0.5)
    with jax.numpy_dtype_promotion("strict"):
        eps = asam_jax.perturbation(params, grads, rho)
        optimizer = asam_jax.asam(rho)
        opt_state = optimizer.init(params)
        updates, _ = optimizer.update(grads, opt_state, params, grad_fn=lambda w: w)
    assert_trees_close(eps, expected, rtol=1e-6)
    assert_trees_close(
        updates,
        jax.tree.map(lambda w, e: (w.astype("float32") + e).astype(dtype), params, eps),
        rtol=0,
    )
