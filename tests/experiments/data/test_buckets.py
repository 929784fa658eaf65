import logging

import numpy as np
import pytest

from experiments.data.buckets import Bucket, into_buckets, make_buckets, without_long
from experiments.data.token_pairs import TokenPairs


def pairs_of(*lengths):
    """Returns pairs with the given numbers of tokens, (source, target) each."""
    sources, targets = zip(*lengths, strict=True)
    return TokenPairs(
        *([np.full(n, 7, np.int32) for n in side] for side in (sources, targets))
    )


def test_buckets_fill_the_budget():
    buckets = make_buckets([24, 16, 64, 24], 4096)
    assert buckets == (Bucket(256, 16), Bucket(170, 24), Bucket(64, 64))


@pytest.mark.parametrize("lengths", [[16, 65], [], [0, 4]])
def test_buckets_that_the_budget_does_not_hold_are_refused(lengths):
    with pytest.raises(ValueError, match="a batch of 64 tokens cannot hold"):
        make_buckets(lengths, 64)


def test_a_pair_goes_to_the_shortest_bucket_that_holds_both_sides():
    pairs = pairs_of((3, 1), (1, 4), (0, 0), (7, 7), (2, 3))
    bucketed = into_buckets(pairs, make_buckets([4, 8], 16))
    members = [list(indices) for indices in bucketed.members]
    assert members == [[0, 2, 4], [1, 3]]  # with their ends: 4 5 1 8 4
    assert bucketed.buckets == (Bucket(4, 4), Bucket(2, 8))
    assert bucketed.num_batches == 2


def test_pairs_longer_than_every_bucket_are_refused():
    pairs = pairs_of((3, 3), (8, 1), (1, 11))
    with pytest.raises(ValueError, match=r"2 of 3 pairs .* 8 tokens: one has 12"):
        into_buckets(pairs, make_buckets([4, 8], 16))


def test_pairs_that_are_left_out_are_counted(caplog):
    pairs = pairs_of((7, 1), (8, 1), (1, 11))
    with caplog.at_level(logging.INFO):
        kept = without_long(pairs, 8)
        again = without_long(kept, 8)
    assert caplog.messages == ["2 of 3 pairs are left out: more than 8 tokens"]
    assert [len(ids) for ids in kept.sources] == [7]
    assert [len(ids) for ids in again.targets] == [1]
