"""Every net: parameters, gradients, and lowering; compilation of the shallow ones."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest

from experiments.nets import IMAGE_NETS

NUM_PARAMETERS = {
    "densenet121": 6_956_298,
    "pyramidnet272": 26_210_842,
    "resnet20": 272_474,
    "resnet32": 466_906,
    "resnet50": 25_557_032,
    "resnet56": 855_770,
    "resnext29_32x4d": 4_775_754,
    "small": 78_042,
    "vgg19_bn": 20_035_018,  # without the biases of its convolutions
    "wrn16_4": 2_748_890,
    "wrn16_8": 10_961_370,
    "wrn28_2": 1_467_610,
    "wrn28_10": 36_479_194,
}
SLOW = {"pyramidnet272"}  # to trace
SHALLOW = {"resnet20", "small", "wrn28_2"}


def marked(names, mark, chosen):
    return [pytest.param(name, marks=mark if name in chosen else ()) for name in names]


def num_classes(name):
    return 1000 if name == "resnet50" else 10


@functools.cache
def build(name):
    net = IMAGE_NETS[name](num_classes(name))
    return net, jax.eval_shape(net.init, jax.random.key(0))


def lower_step(name):
    """Lowers a forward and backward pass in training, on two images."""
    net, (params, model_state) = build(name)

    def loss_fn(params, model_state, x, key):
        logits, model_state = net.apply(params, model_state, x, True, key)
        return logits.mean(), (logits, model_state)

    size = 64 if name == "resnet50" else 32
    x = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    step = jax.jit(jax.grad(loss_fn, has_aux=True))
    return step.lower(params, model_state, x, jax.random.key(0))


def test_the_counts_cover_the_table():
    assert set(NUM_PARAMETERS) == set(IMAGE_NETS)


@pytest.mark.parametrize("name", marked(IMAGE_NETS, pytest.mark.slow, SLOW))
def test_the_number_of_parameters_is_the_published_one(name):
    _, (params, _) = build(name)
    assert (
        sum(math.prod(p.shape) for p in jax.tree.leaves(params))
        == (NUM_PARAMETERS[name])
    )


@pytest.mark.parametrize("name", marked(IMAGE_NETS, pytest.mark.slow, SLOW))
def test_forward_and_backward_lower(name):
    _, (params, model_state) = build(name)
    grads, (logits, new_state) = lower_step(name).out_info
    assert shapes(grads) == shapes(params)
    assert shapes(new_state) == shapes(model_state)
    assert (logits.shape, logits.dtype) == ((2, num_classes(name)), jnp.float32)


def shapes(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


@pytest.mark.parametrize(
    "name", marked(IMAGE_NETS, pytest.mark.deep, set(IMAGE_NETS) - SHALLOW)
)
def test_forward_and_backward_compile(name):
    cost = lower_step(name).compile().cost_analysis()
    assert cost is not None and cost["flops"] > NUM_PARAMETERS[name]
