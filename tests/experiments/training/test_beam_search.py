import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.training.beam_search import BeamConfig, beam_search
from tests.experiments.training import search_reference as ref
from tests.experiments.training.search_reference import BEGIN, END, PADDING

NUM_TOKENS = 5  # padding, begin, end and two words; only padding is never generated
MAX_LENGTH = 4
CONFIG = BeamConfig(
    beam_size=3,
    max_length=MAX_LENGTH,
    length_penalty=1.0,
    begin=BEGIN,
    end=END,
    padding=PADDING,
)


def tables(num_sources, seed=0):
    """Random logits after each prefix, [source, prefix, token]; see `code_after`."""
    rng = np.random.default_rng(seed)
    shape = (num_sources, NUM_TOKENS**MAX_LENGTH, NUM_TOKENS)
    return 2 * rng.normal(size=shape).astype(np.float32)


def code_after(code, token):
    """The number of a prefix that is one token longer: its tokens are the digits."""
    return code * NUM_TOKENS + token


def step(cache, tokens, position):
    code = code_after(cache["code"], tokens)  # [B, K]
    logits = jnp.take_along_axis(cache["table"], code[..., None, None], axis=2)
    return logits[:, :, 0], {**cache, "code": code}


@functools.partial(jax.jit, static_argnames="config")
def run(table, limits, config):
    cache = {"table": table, "code": jnp.zeros(len(table), jnp.int32)}
    return beam_search(step, cache, limits, config)


def search(table, limits, config=CONFIG):
    hypotheses = run(table, np.asarray(limits, np.int32), config)
    return [ref.unpad(*source) for source in zip(*hypotheses, strict=True)]


def log_probs(table):
    """The same table for the reference searches, of one source."""

    def after(tokens):
        code = functools.reduce(code_after, (BEGIN, *tokens), 0)
        return ref.log_softmax(table[code])

    return after


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 1.7])
def test_a_beam_that_holds_every_prefix_finds_the_best_sequences(length_penalty):
    table = tables(4)
    # 3 words make 27 prefixes of 3 tokens, and 1 + 3 + 9 + 27 sequences that end.
    config = dataclasses.replace(CONFIG, beam_size=27, length_penalty=length_penalty)
    found = search(table, [4, 4, 4, 3], config)
    for i, limit in enumerate([4, 4, 4, 3]):
        expected = ref.exhaustive_search(
            log_probs(table[i]), limit, NUM_TOKENS, length_penalty=length_penalty
        )
        assert len(expected) == (40 if limit == 4 else 13)
        ref.assert_same(found[i], expected[:27])


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_it_agrees_with_a_plain_beam_search(beam_size, length_penalty):
    table, limits = tables(60, seed=1), np.arange(60) % MAX_LENGTH + 1
    config = dataclasses.replace(
        CONFIG, beam_size=beam_size, length_penalty=length_penalty
    )
    found = search(table, limits, config)
    for i, limit in enumerate(limits.tolist()):
        expected = ref.beam_search(
            log_probs(table[i]),
            limit,
            beam_size=beam_size,
            length_penalty=length_penalty,
        )
        ref.assert_same(found[i], expected)


def test_what_ends_at_once():
    table = tables(1)
    table[..., END] = 30
    assert search(table, [4])[0][0] == ((END,), pytest.approx(0, abs=1e-6))
    assert search(table, [1])[0] == [((END,), pytest.approx(0, abs=1e-6))]


def test_what_never_ends_by_itself_ends_at_the_limit_at_its_price():
    table = np.zeros((1, NUM_TOKENS**MAX_LENGTH, NUM_TOKENS), np.float32)
    table[..., PADDING] = table[..., BEGIN] = -100
    table[..., 3] = 1
    table[..., END] = -50
    (tokens, score), *_ = search(table, [3])[0]
    assert tokens == (3, 3, END)
    normalizer = np.log(np.e + 1)  # of the logits 1 and 0
    assert score == pytest.approx((1 + 1 - 50 - 3 * normalizer) / 3, rel=1e-6)


def test_what_cannot_end_is_not_found():
    table = tables(1)
    table[..., END] = -np.inf
    tokens, scores = run(table, np.array([4]), CONFIG)
    np.testing.assert_array_equal(tokens, PADDING)
    np.testing.assert_array_equal(scores, -np.inf)


def test_equal_scores_come_in_the_order_of_length_and_token():
    config = dataclasses.replace(CONFIG, beam_size=5, length_penalty=0.0)
    found = search(np.zeros_like(tables(1)), [4], config)[0]
    expected = [(END,), (1, END), (3, END), (4, END), (1, 1, END)]
    assert [tokens for tokens, _ in found] == expected


def test_limits_are_clipped_to_the_room():
    table = tables(2)
    assert search(table, [0, 99]) == search(table, [1, MAX_LENGTH])


def test_sources_do_not_influence_each_other():
    table = tables(4, seed=2)
    together = search(table, [4, 2, 3, 4])
    order = [3, 1, 0, 2]
    permuted = search(table[order], [4, 2, 4, 3])
    assert permuted == [together[i] for i in order]


def test_it_stops_when_no_hypothesis_can_improve():
    positions = []

    def counted(cache, tokens, position):
        jax.debug.callback(lambda p: positions.append(int(p)), position)
        return step(cache, tokens, position)

    # Ending costs 20 at the first token, nothing at the second.
    table = np.zeros((1, NUM_TOKENS**MAX_LENGTH, NUM_TOKENS), np.float32)
    table[0, BEGIN, END] = -20
    for word in (BEGIN, 3, 4):
        table[0, code_after(BEGIN, word), END] = 40
    cache = {"table": table, "code": np.zeros(1, np.int32)}
    hypotheses = beam_search(counted, cache, jnp.array([4]), CONFIG)
    jax.effects_barrier()
    assert sorted(positions) == [0, 1]
    best = ref.unpad(hypotheses.tokens[0], hypotheses.scores[0])
    assert [tokens for tokens, _ in best] == [(1, END), (3, END), (4, END)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beam_size": 0}, "at least 1"),
        ({"max_length": 0}, "at least 1"),
        ({"length_penalty": -0.5}, "must be >= 0"),
        ({"end": PADDING}, "different tokens"),
    ],
)
def test_what_is_no_search_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)
