import dataclasses

import numpy as np
import pytest

from experiments.data.images import ImageSet
from experiments.digits import mlp
from experiments.digits.config import Config
from experiments.digits.invariance import Climb, climbs, rescaled_twin
from experiments.digits.training import loss_fn


def problem():
    """A net with biases, and images with labels that it does not predict."""
    rng = np.random.default_rng(0)
    net = mlp.init(rng, (64, 32, 32, 10))
    for layer in net:
        layer["bias"] = rng.normal(scale=0.3, size=layer["bias"].shape).astype("f")
    images = rng.uniform(size=(50, 8, 8, 1)).astype(np.float32)
    return net, ImageSet(images, rng.integers(10, size=50))


def test_twin_has_other_weights_and_the_same_function():
    net, data = problem()
    twin = rescaled_twin(net, 0, 5.0)
    np.testing.assert_allclose(
        mlp.apply(twin, data.images), mlp.apply(net, data.images), atol=1e-5
    )
    ratios = twin[0]["kernel"] / net[0]["kernel"]
    np.testing.assert_allclose(ratios, np.broadcast_to(ratios[0], ratios.shape), 1e-5)
    assert 0.2 <= ratios.min() < 0.4 and 2.5 < ratios.max() <= 5


def test_only_the_ball_of_asam_climbs_alike_from_net_and_twin():
    net, data = problem()
    loss = lambda params: loss_fn(params, data)[0]
    curves = climbs(
        loss,
        net,
        rescaled_twin(net, 0, 5.0),
        dataclasses.replace(Config(), sam_rhos=(1.0,), asam_rhos=(1.0,)),
    )
    assert list(curves) == ["SAM", "ASAM in theory", "ASAM as trained"]
    for climb in curves.values():
        assert climb.rhos[0] == 0 and climb.rhos[-1] == 1
        assert climb.net[0] == pytest.approx(float(loss(net)), rel=1e-6)
        assert climb.net[-1] > 1.1 * climb.net[0]
    theory = curves["ASAM in theory"]
    np.testing.assert_allclose(theory.twin, theory.net, rtol=1e-4)
    assert curves["SAM"].largest_shift > 0.5
    assert curves["ASAM as trained"].largest_shift > 0.01


def test_largest_shift_is_relative_to_the_net():
    climb = Climb(np.arange(3.0), np.array([1.0, 2, 4]), np.array([1.0, 3, 3]))
    assert climb.largest_shift == 0.5
    assert climb.record() == {
        "rhos": [0, 1, 2],
        "net": [1, 2, 4],
        "twin": [1, 3, 3],
        "largest_shift": 0.5,
    }
