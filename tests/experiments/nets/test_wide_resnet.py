import numpy as np
import pytest

from experiments.nets.wide_resnet import wide_resnet
from tests.experiments.nets import reference as ref
from tests.experiments.nets.problems import apply, images, variables


def preactivation_block(x, params, state, *, strides, train):
    def norm_relu(x, name):
        return ref.relu(ref.batch_norm(x, params[name], state[name], train=train))

    branch = ref.conv(norm_relu(x, "norm1"), params["conv1"], strides=strides)
    branch = ref.conv(norm_relu(branch, "norm2"), params["conv2"])
    if "shortcut" in params:
        x = ref.conv(x, params["shortcut"], strides=strides)
    return x + branch


def wrn16_2(x, params, state, *, train):
    x = ref.conv(x, params["conv"])
    for i in range(6):
        block = params["blocks"]["layers"][i], state["blocks"]["layers"][i]
        assert ("shortcut" in block[0]) == (i in (0, 2, 4))
        x = preactivation_block(x, *block, strides=2 if i in (2, 4) else 1, train=train)
    x = ref.relu(ref.batch_norm(x, params["norm"], state["norm"], train=train))
    return ref.linear(x.mean((1, 2)), params["head"])


@pytest.mark.parametrize("train", [False, True])
def test_wide_resnet_agrees_with_numpy(train):
    net = wide_resnet(16, 2, 10)
    params, state = variables(net)
    x = images(4, 12, 12, 3)
    logits, _ = apply(net, params, state, x, train=train)
    expected = wrn16_2(x, params, state, train=train)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * expected.std())


@pytest.mark.parametrize("depth", [14, 29])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match="6n \\+ 4"):
        wide_resnet(depth, 2, 10)
