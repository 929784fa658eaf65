"""The diagonals of T_w, by hand and by the property that defines the operator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import reference
from .assertions import assert_trees_close
from .problems import cast, conv_net

PARAMS = {
    "conv": {"kernel": np.arange(-4.0, 12.0).reshape(2, 2, 2, 2), "bias": np.ones(2)},
    "norm": {"scale": np.array([1.5, -0.5]), "bias": np.array([-2.0, 0.0])},
    "head": {"kernel": np.array([[0.0, -3.0], [0.25, 1.0]])},
}


def test_identity_is_one_everywhere():
    params = cast(PARAMS, "float32")
    expected = jax.tree.map(jnp.ones_like, params)
    assert_trees_close(asam_jax.identity()(params), expected, rtol=0)


@pytest.mark.parametrize("eta", [0.0, 0.01])
def test_elementwise_is_the_magnitude_of_weights_and_exactly_one_for_biases(eta):
    params = cast(PARAMS, "float32")
    expected = {
        "conv": {
            "kernel": jnp.abs(params["conv"]["kernel"]) + eta,
            "bias": jnp.ones(2),
        },
        "norm": {"scale": jnp.array([1.5, 0.5]) + eta, "bias": jnp.ones(2)},
        "head": {"kernel": jnp.array([[0.0, 3.0], [0.25, 1.0]]) + eta},
    }
    actual = asam_jax.elementwise(eta)(params)
    assert_trees_close(actual, expected, rtol=1e-7)


@pytest.mark.parametrize("eta", [0.0, 0.01])
def test_filterwise_is_one_length_a_filter_and_elementwise_elsewhere(eta):
    params = cast(PARAMS, "float32")
    # Filter 0 holds -4, -2, ..., 10 and filter 1 holds -3, -1, ..., 11.
    lengths = np.sqrt([sum(k * k for k in range(-4 + j, 12, 2)) for j in range(2)])
    expected = asam_jax.elementwise(eta)(params)
    expected["conv"]["kernel"] = jnp.broadcast_to(
        jnp.float32(lengths + eta), (2, 2, 2, 2)
    )
    actual = asam_jax.filterwise(eta)(params)
    assert_trees_close(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("operator", ["identity", "elementwise", "filterwise"])
def test_scales_of_a_net_are_those_of_the_reference(operator):
    normalizations = {
        "identity": asam_jax.identity(),
        "elementwise": asam_jax.elementwise(0.3),
        "filterwise": asam_jax.filterwise(0.3),
    }
    params, _ = conv_net(seed=3)
    flat = reference.flatten(params)
    expected = reference.scales(flat, operator=operator, eta=0.3)
    actual = normalizations[operator](cast(params, "float32"))
    assert_trees_close(
        actual, cast(reference.unflatten(expected), "float32"), rtol=1e-6
    )


def test_filters_may_be_counted_by_the_first_axis():
    # Equinox and PyTorch keep kernels as OIHW.
    oihw = jnp.array([3.0, 4.0, 0.0, -2.0]).reshape(2, 2, 1, 1)
    scale = asam_jax.filterwise(eta=0.0, filter_axis=0)({"weight": oihw})
    expected = jnp.array([5.0, 5.0, 2.0, 2.0]).reshape(2, 2, 1, 1)
    assert_trees_close(scale, {"weight": expected}, rtol=1e-6)


@pytest.mark.parametrize(
    "is_filter", [lambda path, leaf: leaf.ndim == 3, {"kernel": True, "bias": False}]
)
def test_filters_are_the_weights_that_is_filter_selects(is_filter):
    params = {"kernel": jnp.array([[[3.0], [-4.0]]]), "bias": jnp.full((1, 1, 2), 7.0)}
    scales = asam_jax.filterwise(eta=0.5, is_filter=is_filter)(params)
    expected = {"kernel": jnp.full((1, 2, 1), 5.5), "bias": jnp.ones((1, 1, 2))}
    assert_trees_close(scales, expected, rtol=1e-6)


@pytest.mark.parametrize("make", [asam_jax.elementwise, asam_jax.filterwise])
def test_where_selects_the_normalized_leaves(make):
    params = cast(PARAMS, "float32")
    everywhere = make(0.0, where=lambda path, leaf: True)(params)
    assert_trees_close(everywhere["norm"]["bias"], jnp.array([2.0, 0.0]), rtol=0)
    tree = {"conv": False, "norm": {"scale": False, "bias": True}, "head": True}
    selected = make(0.0, where=tree)(params)
    assert_trees_close(
        selected["conv"], jax.tree.map(jnp.ones_like, params["conv"]), rtol=0
    )
    assert_trees_close(selected["norm"]["scale"], jnp.ones(2), rtol=0)
    assert_trees_close(selected["norm"]["bias"], jnp.array([2.0, 0.0]), rtol=0)
    assert_trees_close(
        selected["head"]["kernel"], jnp.abs(params["head"]["kernel"]), rtol=0
    )


def test_operators_follow_a_rescaling_of_the_parameters():
    # T_{Aw} = A T_w for a diagonal A > 0, one factor a filter for the filter-wise one.
    kernel = jnp.float32(np.random.default_rng(0).normal(size=(3, 3, 2, 4)))
    per_filter = jnp.array([0.1, 1.0, 3.0, 20.0]).reshape(1, 1, 1, 4)
    per_weight = jnp.exp(2 * kernel)
    for normalization, factor in [
        (asam_jax.elementwise(eta=0.0), per_weight),
        (asam_jax.filterwise(eta=0.0), per_filter),
    ]:
        scaled = normalization({"kernel": factor * kernel})
        expected = {"kernel": factor * normalization({"kernel": kernel})["kernel"]}
        assert_trees_close(scaled, expected, rtol=1e-5)


def test_scales_are_at_least_float32():
    # In float16 the filter of 300s has no finite norm, and eta is lost next to 8.
    params = {
        "half": {"kernel": jnp.full((1, 1, 4, 1), 300.0, jnp.float16)},
        "brain": {"kernel": jnp.full((2, 2), 8.0, jnp.bfloat16)},
    }
    scales = asam_jax.filterwise(eta=0.001)(params)
    expected = {
        "half": {"kernel": jnp.full((1, 1, 4, 1), 600.001)},
        "brain": {"kernel": jnp.full((2, 2), 8.001)},
    }
    assert_trees_close(scales, expected, rtol=1e-7)
    ones = asam_jax.identity()(params)
    assert_trees_close(ones, jax.tree.map(jnp.ones_like, expected), rtol=0)
