import numpy as np
import pytest
from flax import nnx

from experiments.nets.layers import conv, linear


@pytest.mark.parametrize(("size", "groups"), [(1, 1), (3, 1), (3, 4)])
def test_convolutions_are_he_initialized_by_fan_out(size, groups):
    layer = conv(64, 128, size, groups=groups, rngs=nnx.Rngs(0))
    kernel = np.asarray(layer.kernel[...])
    assert kernel.shape == (size, size, 64 // groups, 128)
    expected = np.sqrt(2 / (size**2 * 128))
    assert kernel.std() == pytest.approx(expected, rel=0.03)
    assert abs(kernel).max() > 3 * expected  # a normal, not truncated at 2 deviations


def test_linear_layers_are_uniform_within_the_bound():
    layer = linear(100, 50, rngs=nnx.Rngs(0))
    assert layer.bias is not None
    kernel, bias = np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])
    assert abs(kernel).max() <= 0.1 and abs(bias).max() <= 0.1
    assert kernel.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.05)
    assert bias.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.3)
