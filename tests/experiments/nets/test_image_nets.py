"""Every net: its size and shape, and that its gradient lowers and compiles."""

import functools
import math
from collections import Counter

import jax
import jax.numpy as jnp
import pytest

from experiments.nets import IMAGE_NETS

NUM_PARAMETERS = {
    "densenet121": 6_956_298,
    "pyramidnet272": 26_210_842,
    "resnet20": 272_474,
    "resnet32": 466_906,
    "resnet50": 25_557_032,  # for 1,000 classes, all others for 10
    "resnet56": 855_770,
    "resnext29_32x4d": 4_775_754,
    "small": 78_042,
    "vgg19_bn": 20_035_018,  # without the biases of its convolutions
    "wrn16_8": 10_961_370,
    "wrn28_2": 1_467_610,
    "wrn28_10": 36_479_194,
}
# Convolutions by the height of their output, counted by hand. Where a bottleneck
# strides, its first convolution still works at the resolution of the stage before.
CONVOLUTIONS = {
    "densenet121": {32: 1 + 12 + 1, 16: 24 + 1, 8: 48 + 1, 4: 32},
    "pyramidnet272": {32: 1 + 90 + 1, 16: 89 + 1, 8: 89},
    "resnet20": {32: 1 + 6, 16: 6 + 1, 8: 6 + 1},
    "resnet32": {32: 1 + 10, 16: 10 + 1, 8: 10 + 1},
    "resnet50": {112: 1, 56: 10 + 1, 28: 12 + 1, 14: 18 + 1, 7: 9},
    "resnet56": {32: 1 + 18, 16: 18 + 1, 8: 18 + 1},
    "resnext29_32x4d": {32: 1 + 10 + 1, 16: 9 + 1, 8: 9},
    "small": {32: 1 + 2, 16: 2 + 1, 8: 2 + 1},
    "vgg19_bn": {32: 2, 16: 2, 8: 4, 4: 4, 2: 4},
    "wrn16_8": {32: 1 + 4 + 1, 16: 4 + 1, 8: 4 + 1},
    "wrn28_2": {32: 1 + 8 + 1, 16: 8 + 1, 8: 8 + 1},
    "wrn28_10": {32: 1 + 8 + 1, 16: 8 + 1, 8: 8 + 1},
}
SHALLOW = {"resnet20", "small", "wrn28_2"}


def nets(mark, marked):
    """Names of all nets, some of them marked."""
    return pytest.mark.parametrize(
        "name",
        [pytest.param(n, marks=mark if n in marked else ()) for n in IMAGE_NETS],
    )


every_net = nets(pytest.mark.slow, {"pyramidnet272"})  # slow to trace


def num_classes(name):
    return 1000 if name == "resnet50" else 10


def images(name):
    size = 224 if name == "resnet50" else 32
    return jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)


@functools.cache
def build(name):
    net = IMAGE_NETS[name](num_classes(name))
    return net, *jax.eval_shape(net.init, jax.random.key(0))


@functools.cache
def convolutions(name):
    """Outputs of the convolutions, for parameters and images in bfloat16."""
    net, params, model_state = build(name)

    def evaluate(params, model_state, x):
        params, x = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (params, x))
        return net.apply(params, model_state, x, False)

    jaxpr = jax.make_jaxpr(evaluate)(params, model_state, images(name))
    return [
        eqn.outvars[0].aval
        for eqn in jaxpr.eqns
        if eqn.primitive.name == "conv_general_dilated"
    ]


def lower_gradient(name):
    net, params, model_state = build(name)

    def loss_fn(params, model_state, x, key):
        logits, model_state = net.apply(params, model_state, x, True, key)
        return logits.mean(), (logits, model_state)

    gradient = jax.jit(jax.grad(loss_fn, has_aux=True))
    return gradient.lower(params, model_state, images(name), jax.random.key(0))


def test_the_tables_are_complete():
    assert set(NUM_PARAMETERS) == set(CONVOLUTIONS) == set(IMAGE_NETS)


@every_net
def test_the_number_of_parameters_is_the_published_one(name):
    _, params, _ = build(name)
    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(params)]
    assert sum(sizes) == NUM_PARAMETERS[name]


@every_net
def test_each_resolution_has_its_convolutions(name):
    heights = Counter(output.shape[1] for output in convolutions(name))
    assert heights == CONVOLUTIONS[name]


@every_net
def test_bfloat16_reaches_every_convolution(name):
    assert all(output.dtype == jnp.bfloat16 for output in convolutions(name))


@nets(pytest.mark.deep, {"pyramidnet272"})  # half a minute to lower
def test_the_gradient_lowers(name):
    _, params, model_state = build(name)
    grads, (logits, new_state) = lower_gradient(name).out_info
    assert avals(grads) == avals(params)
    assert avals(new_state) == avals(model_state)
    assert avals(logits) == ((2, num_classes(name)), jnp.float32)


def avals(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


@nets(pytest.mark.deep, set(IMAGE_NETS) - SHALLOW)
def test_the_gradient_compiles(name):
    cost = lower_gradient(name).compile().cost_analysis()
    assert cost is not None and cost["flops"] > NUM_PARAMETERS[name]
