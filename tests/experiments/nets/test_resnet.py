import numpy as np
import pytest

from experiments.nets.resnet import resnet
from tests.experiments.nets import reference as ref
from tests.experiments.nets.problems import apply, images, variables


def basic_block(x, params, state, *, strides, train):
    def norm(x, name):
        return ref.batch_norm(x, params[name], state[name], train=train)

    branch = ref.relu(norm(ref.conv(x, params["conv1"], strides=strides), "norm1"))
    branch = norm(ref.conv(branch, params["conv2"]), "norm2")
    if strides == 2:
        projection = params["shortcut"]["layers"]
        x = ref.conv(x, projection[0], strides=2)
        x = ref.batch_norm(
            x, projection[1], state["shortcut"]["layers"][1], train=train
        )
    return ref.relu(x + branch)


def resnet20(x, params, state, *, train):
    x = ref.conv(x, params["conv"])
    x = ref.relu(ref.batch_norm(x, params["norm"], state["norm"], train=train))
    for i in range(9):
        block = params["blocks"]["layers"][i], state["blocks"]["layers"][i]
        x = basic_block(x, *block, strides=2 if i in (3, 6) else 1, train=train)
    return ref.linear(x.mean((1, 2)), params["head"])


@pytest.mark.parametrize("train", [False, True])
def test_resnet20_agrees_with_numpy(train):
    net = resnet(20, 10)
    params, state = variables(net)
    x = images(4, 12, 12, 3)
    logits, _ = apply(net, params, state, x, train=train)
    expected = resnet20(x, params, state, train=train)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * expected.std())


@pytest.mark.parametrize("depth", [18, 21])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match="6n \\+ 2"):
        resnet(depth, 10)
