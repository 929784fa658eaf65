import numpy as np
import pytest

from experiments.nets.bottleneck import Bottleneck
from experiments.nets.functional import functional
from tests.experiments.nets import reference as ref
from tests.experiments.nets.problems import apply, images, variables


def bottleneck(x, params, state, *, strides, groups):
    def norm(x, name):
        return ref.batch_norm(x, params[name], state[name], train=True)

    branch = ref.relu(norm(ref.conv(x, params["conv1"]), "norm1"))
    branch = ref.conv(branch, params["conv2"], strides=strides, groups=groups)
    branch = ref.relu(norm(branch, "norm2"))
    branch = norm(ref.conv(branch, params["conv3"]), "norm3")
    if "shortcut" in params:
        projection = params["shortcut"]["layers"]
        x = ref.conv(x, projection[0], strides=strides)
        x = ref.batch_norm(x, projection[1], None, train=True)
    return ref.relu(x + branch)


@pytest.mark.parametrize(
    ("in_features", "strides", "projected"),
    [(16, 1, False), (16, 2, True), (8, 1, True)],
)
def test_a_grouped_bottleneck_agrees_with_numpy(in_features, strides, projected):
    net = functional(
        lambda rngs: Bottleneck(
            in_features, 16, strides=strides, reduction=2, groups=4, rngs=rngs
        )
    )
    params, state = variables(net)
    assert params["conv2"]["kernel"].shape == (3, 3, 2, 8)
    assert ("shortcut" in params) == projected
    x = images(4, 8, 8, in_features)
    output, _ = apply(net, params, state, x, train=True)
    expected = bottleneck(x, params, state, strides=strides, groups=4)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)
