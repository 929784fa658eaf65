from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from experiments.nets.functional import functional
from experiments.nets.pyramidnet import PyramidBlock, PyramidNet, pyramidnet
from tests.experiments.nets import reference as ref
from tests.experiments.nets.problems import apply, images, variables


def pyramid_block(x, params, state, *, strides, survival):
    def norm(x, name):
        return ref.batch_norm(x, params[name], state[name], train=False)

    branch = ref.conv(norm(x, "norm1"), params["conv1"])
    branch = ref.conv(ref.relu(norm(branch, "norm2")), params["conv2"], strides=strides)
    branch = ref.conv(ref.relu(norm(branch, "norm3")), params["conv3"])
    branch = survival * norm(branch, "norm4")
    x = ref.average_pool(x) if strides == 2 else x
    branch[..., : x.shape[-1]] += x
    return branch


@pytest.mark.parametrize("strides", [1, 2])
def test_a_block_agrees_with_numpy_in_evaluation(strides):
    net = functional(
        lambda rngs: PyramidBlock(12, 20, strides=strides, survival=0.7, rngs=rngs)
    )
    params, state = variables(net)
    x = images(4, 8, 8, 12)
    output, _ = apply(net, params, state, x, train=False)
    expected = pyramid_block(x, params, state, strides=strides, survival=0.7)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


def test_an_odd_image_keeps_its_last_row_and_column():
    net = functional(
        lambda rngs: PyramidBlock(4, 4, strides=2, survival=1.0, rngs=rngs)
    )
    params, state = variables(net)
    params = jax.tree.map(np.zeros_like, params)  # leaves the shortcut alone
    x = images(2, 3, 3, 4)
    output, _ = apply(net, params, state, x, train=False)
    np.testing.assert_allclose(output[:, 1, 1], x[:, 2, 2], rtol=1e-6)
    np.testing.assert_allclose(output[:, 0, 1], x[:, :2, 2].mean(1), rtol=1e-6)


def test_widths_grow_and_survival_decays_linearly():
    model = nnx.eval_shape(lambda: PyramidNet(56, 72, 10, rngs=nnx.Rngs(0)))
    blocks: Any = model.blocks.layers
    assert [block.conv3.out_features for block in blocks] == [
        4 * (16 + 4 * i) for i in range(1, 19)
    ]
    assert [i for i, block in enumerate(blocks) if block.strides == 2] == [6, 12]
    survival = [block.shake_drop.survival for block in blocks]
    np.testing.assert_allclose(survival, np.linspace(1, 0.5, 19)[1:])


def test_other_depths_are_refused():
    with pytest.raises(ValueError, match="9n \\+ 2"):
        pyramidnet(110 + 3, 48, 10)
