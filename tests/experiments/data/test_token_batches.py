import itertools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.data.buckets import BucketedPairs, into_buckets, make_buckets
from experiments.data.numbers import number_pairs
from experiments.data.special_tokens import BEGIN, END, PADDING
from experiments.data.subwords import Subwords, train_subwords
from experiments.data.token_batches import (
    NO_PAIR,
    TokenBatch,
    epoch_plan,
    evaluation_batches,
    filled_up,
    train_batches,
)
from experiments.data.token_pairs import TokenPairs, encode_pairs

BUCKETS = make_buckets([4, 8, 16], 32)


def make_pairs(num: int) -> BucketedPairs:
    """Returns pairs of random lengths, whose ids are all different."""
    rng = np.random.default_rng(num)
    lengths = rng.integers(rng.integers(1, 17, size=num), size=(2, num))
    ids = itertools.count(4)
    sides = ([np.array([*itertools.islice(ids, n)]) for n in side] for side in lengths)
    return into_buckets(TokenPairs(*sides), BUCKETS)


PAIRS = make_pairs(50)


def content(array):
    """Returns the ids of each row without those that batches add."""
    return [
        tuple(row[~np.isin(row, [PADDING, BEGIN, END])])
        for row in array
        if np.any(row != PADDING)
    ]


def contents(batches):
    return sorted(
        pair
        for batch in batches
        for pair in zip(content(batch.source), content(batch.target_out), strict=True)
    )


EVERY_PAIR = sorted(
    (tuple(source), tuple(target)) for source, target in zip(*PAIRS.pairs, strict=True)
)


def assert_same(batches, others):
    jax.tree.map(np.testing.assert_array_equal, list(batches), list(others))


def test_the_layout_by_hand():
    pairs = TokenPairs([np.array([10, 11])], [np.array([20, 21, 22])])
    bucketed = into_buckets(pairs, make_buckets([5], 10))
    batch = next(train_batches(bucketed, seed=0, start=0))
    np.testing.assert_array_equal(batch.source, [[10, 11, 2, 0, 0], [0] * 5])
    np.testing.assert_array_equal(batch.target_in, [[1, 20, 21, 22, 0], [0] * 5])
    np.testing.assert_array_equal(batch.target_out, [[20, 21, 22, 2, 0], [0] * 5])
    assert {array.dtype for array in batch} == {np.dtype(np.int32)}


@pytest.mark.parametrize(("multiple", "rows"), [(1, 2), (2, 2), (3, 3), (8, 8)])
def test_rows_without_a_pair_fill_a_batch_up(multiple, rows):
    batch = TokenBatch(*np.arange(1, 13, dtype=np.int32).reshape(3, 2, 2))
    filled = filled_up(batch, multiple)
    for ids, whole in zip(batch, filled, strict=True):
        assert whole.shape == (rows, 2) and whole.dtype == np.int32
        np.testing.assert_array_equal(whole[:2], ids)
        np.testing.assert_array_equal(whole[2:], PADDING)


@given(num=st.integers(0, 80), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_has_every_pair_once(num, seed, epoch):
    bucketed = make_pairs(num)
    plan = epoch_plan(bucketed, seed=seed, epoch=epoch)
    assert len(plan) == bucketed.num_batches
    indices = np.concatenate([[], *(planned.indices for planned in plan)])
    np.testing.assert_array_equal(np.sort(indices[indices != NO_PAIR]), np.arange(num))
    for bucket, rows in plan:
        assert rows.shape == (bucket.batch,)
        assert np.any(rows != NO_PAIR)
        lengths = bucketed.pairs.lengths[rows[rows != NO_PAIR]]
        assert lengths.max() <= bucket.length


def test_the_batches_of_each_epoch_hold_every_pair():
    batches = train_batches(PAIRS, seed=0, start=0)
    first = list(itertools.islice(batches, PAIRS.num_batches))
    second = list(itertools.islice(batches, PAIRS.num_batches))
    assert contents(first) == contents(second) == EVERY_PAIR


def test_both_sides_stay_within_the_budget_in_few_shapes():
    batches = train_batches(PAIRS, seed=0, start=0)
    shapes = {
        array.shape
        for batch in itertools.islice(batches, 2 * PAIRS.num_batches)
        for array in batch
    }
    assert shapes == set(BUCKETS)
    assert max(rows * length for rows, length in shapes) <= 32


@pytest.mark.parametrize("start", [1, PAIRS.num_batches, 2 * PAIRS.num_batches + 3])
def test_batches_resume_at_any_step(start):
    unbroken = itertools.islice(train_batches(PAIRS, seed=3, start=0), start, start + 9)
    resumed = itertools.islice(train_batches(PAIRS, seed=3, start=start), 9)
    assert_same(unbroken, resumed)


def test_resuming_replays_nothing():
    step = 10**12 * PAIRS.num_batches + 1
    batch = next(train_batches(PAIRS, seed=0, start=step))
    planned = epoch_plan(PAIRS, seed=0, epoch=10**12)[1]
    assert batch.source.shape == planned.bucket


def test_the_order_of_an_epoch_is_no_other_stream_of_its_seed(monkeypatch):
    states, default_rng = [], np.random.default_rng

    def recorded(seed):
        rng = default_rng(seed)
        states.append(rng.bit_generator.state["state"]["state"])
        return rng

    monkeypatch.setattr(np.random, "default_rng", recorded)
    np.random.default_rng(3)
    for epoch in range(3):
        epoch_plan(PAIRS, seed=3, epoch=epoch)
    assert len(set(states)) == len(states) == 4


def test_order_is_a_function_of_seed_and_epoch():
    def pairs_in_order(seed, epoch):
        plan = epoch_plan(PAIRS, seed=seed, epoch=epoch)
        return [index for planned in plan for index in planned.indices]

    assert pairs_in_order(0, 3) == pairs_in_order(0, 3)
    assert pairs_in_order(0, 3) != pairs_in_order(0, 4)
    assert pairs_in_order(0, 3) != pairs_in_order(1, 3)
    assert pairs_in_order(3, 0) != pairs_in_order(0, 3)


def test_batches_mix_pairs_anew_in_each_epoch():
    def groups(epoch):
        plan = epoch_plan(PAIRS, seed=0, epoch=epoch)
        return {frozenset(planned.indices.tolist()) for planned in plan}

    assert groups(0) != groups(1)


def test_batches_of_all_buckets_are_mixed():
    plans = [epoch_plan(PAIRS, seed=0, epoch=epoch) for epoch in range(20)]
    assert {plan[0].bucket for plan in plans} == set(BUCKETS)


def test_batches_decode_to_the_sentences():
    pairs = number_pairs(0, num_train=40, num_validation=0, num_test=0).train
    subwords = Subwords(train_subwords([*pairs.sources, *pairs.targets], 100))
    encoded = encode_pairs(subwords, pairs, "train")
    buckets = make_buckets([8, 16, 32, 64], 256)
    decoded = {}
    for indices, batch in evaluation_batches(into_buckets(encoded, buckets)):
        sources, targets = (
            subwords.decode(batch.source),
            subwords.decode(batch.target_out),
        )
        assert subwords.decode(batch.target_in) == targets
        decoded |= zip(indices, zip(sources, targets, strict=True), strict=True)
    assert decoded.pop(NO_PAIR) == ("", "")
    assert decoded == dict(enumerate(zip(*pairs, strict=True)))


def test_no_pairs_are_refused():
    with pytest.raises(ValueError, match="no pairs to train on"):
        next(train_batches(make_pairs(0), seed=0, start=0))


def test_evaluation_takes_every_pair_once():
    sources = {}
    for indices, batch in evaluation_batches(PAIRS):
        assert batch.source.shape in BUCKETS
        is_padding = indices == NO_PAIR
        for array in batch:
            np.testing.assert_array_equal(np.all(array == PADDING, 1), is_padding)
        rows = content(batch.source)
        sources |= zip(indices[~is_padding].tolist(), rows, strict=True)
    assert sources == {i: tuple(ids) for i, ids in enumerate(PAIRS.pairs.sources)}
