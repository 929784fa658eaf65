"""Tiny transformers and sentences, which the tests of nets and decoding share."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data.special_tokens import PADDING
from experiments.nets.transformer import IWSLT, empty_cache, transformer
from tests.experiments.nets.problems import apply, variables

CONFIG = dataclasses.replace(
    IWSLT,
    features=8,
    hidden_features=12,
    num_heads=2,
    num_encoder_layers=1,
    num_decoder_layers=1,
)
NET = transformer(7, 9, CONFIG)
SOURCE = np.array([[3, 5, 1, 6, 2], [4, 6, 2, 0, 0]], np.int32)
TARGET = np.array([[1, 5, 2, 4], [1, 3, 0, 0]], np.int32)
REAL = TARGET != PADDING
PARAMS, _ = variables(NET)
KEY = jax.random.key(0)


def logits(params=PARAMS, source=SOURCE, target=TARGET):
    """The logits of the sentences, without dropout."""
    return np.asarray(apply(NET, params, {}, (source, target), train=False)[0])


def noisy(key, net=NET):
    """The logits of the sentences, with dropout."""
    return np.asarray(apply(net, PARAMS, {}, (SOURCE, TARGET), key, train=True)[0])


@jax.jit
def decode(params, source, target):
    """Logits of every target token, one decoding step at a time."""
    memory = NET.encode(params, source)

    def step(carry, token):
        cache, position = carry
        logits, cache = NET.decode_step(params, memory, cache, token, position)
        return (cache, position + 1), logits

    length = target.shape[1] + 2
    start = (empty_cache(memory, length), jnp.int32(0))
    _, logits = jax.lax.scan(step, start, target.T)
    return logits.swapaxes(0, 1)
