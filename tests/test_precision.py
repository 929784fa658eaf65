"""Half precision, mixed trees, and gradients at the ends of the number line."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import reference
from .assertions import assert_leaves_close, assert_trees_close
from .problems import batches, cast, conv_net, conv_net_loss

IDENTITY = asam_jax.identity()
NORMS = pytest.mark.parametrize("p", [2, jnp.inf])
PARAMS_AND_GRADS = (
    {"kernel": np.array([[1.5, -0.5]]), "bias": np.array([0.25, 2.0])},
    {"kernel": np.array([[0.5, 1.0]]), "bias": np.array([-0.75, 0.5])},
)
compile_ = functools.partial(jax.jit, static_argnames=("normalization", "p"))
# Compiled for a CPU a second norm is taken in a branch, else always.
PATHS = pytest.mark.parametrize("path", [lambda f: f, compile_], ids=["eager", "jit"])


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


@pytest.mark.parametrize("rho", [jnp.nan, jnp.inf])
@NORMS
def test_a_radius_that_turns_out_not_finite_gives_no_perturbation(rho, p):
    params = {"kernel": jnp.ones(2)}
    eps = asam_jax.perturbation(params, params, jnp.array(rho), p=p)
    assert_trees_close(eps, {"kernel": jnp.zeros(2)}, rtol=0)


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
