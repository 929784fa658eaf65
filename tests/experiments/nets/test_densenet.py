import numpy as np
import pytest
from flax import nnx

from experiments.nets.densenet import DenseLayer, Transition
from experiments.nets.functional import functional
from tests.experiments.nets import reference as ref
from tests.experiments.nets.problems import apply, images, variables


def dense_layer(x, params, state, *, train):
    def norm_relu(x, name):
        return ref.relu(ref.batch_norm(x, params[name], state[name], train=train))

    new = ref.conv(norm_relu(x, "norm1"), params["conv1"])
    new = ref.conv(norm_relu(new, "norm2"), params["conv2"])
    return np.concatenate([x, new], -1)


def transition(x, params, state, *, train):
    x = ref.relu(ref.batch_norm(x, params["norm"], state["norm"], train=train))
    return ref.average_pool(ref.conv(x, params["conv"]))


def make_block(rngs):
    layers = [DenseLayer(8 + 4 * i, 4, rngs=rngs) for i in range(3)]
    return nnx.Sequential(*layers, Transition(20, rngs=rngs))


@pytest.mark.parametrize("train", [False, True])
def test_a_dense_block_and_its_transition_agree_with_numpy(train):
    net = functional(make_block)
    params, state = variables(net)
    x = images(4, 8, 8, 8)
    output, _ = apply(net, params, state, x, train=train)

    *layers, last = [(params["layers"][i], state["layers"][i]) for i in range(4)]
    expected = x
    for layer in layers:
        expected = dense_layer(expected, *layer, train=train)
    expected = transition(expected, *last, train=train)
    assert expected.shape == (4, 4, 4, 10)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)
