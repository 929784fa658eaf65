import dataclasses
from collections import Counter

import jax
import numpy as np
import pytest

from experiments.nets.transformer import transformer
from tests.experiments.nets.problems import apply
from tests.experiments.nets.translation import (
    CONFIG,
    KEY,
    PARAMS,
    SOURCE,
    TARGET,
    logits,
    noisy,
)

OTHER_KEY = jax.random.key(1)


def test_the_key_decides_the_dropout():
    np.testing.assert_array_equal(noisy(KEY), noisy(KEY))
    assert np.all(np.abs(noisy(KEY) - noisy(OTHER_KEY)).max(-1) > 1e-3)
    assert np.all(np.abs(noisy(KEY) - logits()).max(-1) > 1e-3)


def test_training_without_dropout_is_evaluation_and_needs_no_key():
    net = transformer(7, 9, dataclasses.replace(CONFIG, dropout=0.0))
    actual, _ = apply(net, PARAMS, {}, (SOURCE, TARGET), train=True)
    np.testing.assert_array_equal(actual, logits())


X, Y = (2, 5, 8), (2, 4, 8)  # source and target, [batch, token, feature]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"dropout": 0.3}, {X: 1 + 2, Y: 1 + 3}),
        (
            {"dropout": 0.0, "attention_dropout": 0.3},
            {(2, 2, 5, 5): 1, (2, 2, 4, 4): 1, (2, 2, 4, 5): 1},
        ),
        (
            {"dropout": 0.0, "activation_dropout": 0.3},
            {(2, 5, 12): 1, (2, 4, 12): 1},
        ),
    ],
)
def test_dropout_falls_where_fairseq_has_it(rates, expected, monkeypatch):
    drawn = Counter()
    bernoulli = jax.random.bernoulli

    def record(key, p, shape, **options):
        assert p == pytest.approx(0.7)
        drawn[tuple(shape)] += 1
        return bernoulli(key, p, shape, **options)

    monkeypatch.setattr(jax.random, "bernoulli", record)
    net = transformer(7, 9, dataclasses.replace(CONFIG, **rates))
    jax.eval_shape(lambda key: net.apply(PARAMS, {}, (SOURCE, TARGET), True, key), KEY)
    assert drawn == expected
