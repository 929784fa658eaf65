from typing import get_args

import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax
from experiments.training.config import Ascent, Normalization
from experiments.training.normalizations import NORMALIZATIONS, layerwise

PARAMS = {
    "conv": {"kernel": jnp.array([3.0, -4.0]).reshape(1, 1, 2, 1)},
    "norm": {"scale": jnp.array([1.0, 1.0]), "bias": jnp.array([-0.5, 2.0])},
}
GRADS = {
    "conv": {"kernel": jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1)},
    "norm": {"scale": jnp.array([0.5, 0.0]), "bias": jnp.array([-1.0, 0.25])},
}


def scales(name: str) -> list[list[float]]:
    """Returns T for the kernel, the scale and the bias, an entry a weight."""
    tree = NORMALIZATIONS[name](0.25)(PARAMS)
    leaves = [
        (tree["conv"]["kernel"], PARAMS["conv"]["kernel"]),
        (tree["norm"]["scale"], PARAMS["norm"]["scale"]),
        (tree["norm"]["bias"], PARAMS["norm"]["bias"]),
    ]
    return [np.broadcast_to(t, w.shape).ravel().tolist() for t, w in leaves]


def test_every_name_of_a_config_has_a_ball():
    assert set(get_args(Normalization)) == NORMALIZATIONS.keys()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("identity", [[1, 1], [1, 1], [1, 1]]),
        ("elementwise", [[3.25, 4.25], [1.25, 1.25], [1, 1]]),
        ("elementwise-with-bias", [[3.25, 4.25], [1.25, 1.25], [0.75, 2.25]]),
        ("filterwise", [[5.25, 5.25], [1.25, 1.25], [1, 1]]),
        ("layerwise", [[12.5**0.5 + 0.25] * 2, [1.25, 1.25], [1, 1]]),
    ],
)
def test_the_scales_of_each_ball(name, expected):
    np.testing.assert_allclose(scales(name), expected, rtol=1e-6)


def test_layerwise_scales_have_the_norm_of_the_layer():
    kernel = PARAMS["conv"]["kernel"]
    scale = layerwise(0.0)(PARAMS)["conv"]["kernel"]
    full = jnp.broadcast_to(scale, kernel.shape)
    np.testing.assert_allclose(jnp.linalg.norm(full), jnp.linalg.norm(kernel), 1e-6)


def test_the_layerwise_ball_climbs_to_its_boundary():
    eps = asam_jax.perturbation(PARAMS, GRADS, 0.5, normalization=layerwise(0.01))
    kernel, scale = 12.5**0.5 + 0.01, 1.01
    scaled_grads = np.array([kernel, 2 * kernel, 0.5 * scale, 0, -1, 0.25])
    expected = 0.5 * scaled_grads / np.linalg.norm(scaled_grads)
    np.testing.assert_allclose(
        np.concatenate(
            [
                np.ravel(eps["conv"]["kernel"]) / kernel,
                eps["norm"]["scale"] / scale,
                eps["norm"]["bias"],
            ]
        ),
        expected,
        rtol=1e-5,
    )


def test_a_config_of_old_is_read_as_before():
    old = {"rho": 0.5, "normalization": "elementwise", "eta": 0.01, "p": 2.0}
    assert Ascent(**old).summary == "elementwise rho 0.5"
    assert Ascent(rho=0.01, p=float("inf")).summary == "identity rho 0.01, p = inf"
