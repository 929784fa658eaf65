import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.correlation.nets import Dropout, conv_net, mlp

IMAGES = jax.random.uniform(jax.random.key(1), (5, 4, 4, 2))
NETS = {"mlp": mlp(32, (24, 16), 3), "conv": conv_net(2, (24, 16), 3)}


def test_the_mlp_is_its_formula():
    net = NETS["mlp"]
    params = net.init(jax.random.key(0))
    x = np.asarray(IMAGES).reshape(5, 32)
    for layer in params[:-1]:
        x = np.maximum(x @ np.asarray(layer["kernel"]) + layer["bias"][None], 0)
    x = x @ np.asarray(params[-1]["kernel"]) + params[-1]["bias"][None]
    np.testing.assert_allclose(net.apply(params, IMAGES, None), x, atol=1e-5)


def test_the_convolution_is_its_formula():
    net = conv_net(2, (5,), 3)
    kernel, head = net.init(jax.random.key(0))
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = np.zeros((5, 4, 4, 5))
    for i in range(3):
        for j in range(3):
            x += padded[:, i : i + 4, j : j + 4] @ np.asarray(kernel["kernel"][i, j])
    x = np.maximum(x + kernel["bias"][None, None, None], 0)
    logits = x.mean(axis=(1, 2)) @ np.asarray(head["kernel"]) + head["bias"][None]
    np.testing.assert_allclose(
        net.apply([kernel, head], IMAGES, None), logits, atol=1e-5
    )


@pytest.mark.parametrize("name", NETS)
def test_dropout_of_rate_zero_is_none_and_rates_are_traced(name):
    net = NETS[name]
    params = net.init(jax.random.key(0))
    clean = net.apply(params, IMAGES, None)
    key = jax.random.key(2)
    rates = jnp.array([0.0, 0.5])
    noisy = jax.jit(
        jax.vmap(lambda rate: net.apply(params, IMAGES, Dropout(key, rate)))
    )(rates)
    np.testing.assert_allclose(noisy[0], clean, atol=1e-5)
    assert np.max(np.abs(noisy[1] - clean)) > 0.01


def test_dropout_zeroes_its_share_of_every_hidden_layer_and_keeps_the_mean():
    width = 4000
    hidden = {"kernel": jnp.ones((32, width)), "bias": jnp.zeros(width)}
    head = {"kernel": jnp.eye(width, 2) * 0 + 1 / width, "bias": jnp.zeros(2)}
    apply = functools.partial(NETS["mlp"].apply, [hidden, head], jnp.ones((8, 4, 4, 2)))
    logits = apply(Dropout(jax.random.key(0), 0.25))
    # Each unit is 32 / 0.75 with probability 0.75: the mean is 32.
    spread = 32 * np.sqrt(0.25 / 0.75 / width)
    np.testing.assert_allclose(logits, 32, atol=5 * spread)
    assert np.std(logits) > spread / 4  # examples have their own masks
