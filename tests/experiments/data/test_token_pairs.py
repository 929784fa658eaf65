import logging

import numpy as np

from experiments.data.sentences import SentencePairs
from experiments.data.special_tokens import UNKNOWN
from experiments.data.subwords import Subwords, train_subwords
from experiments.data.token_pairs import TokenPairs, encode_pairs

SUBWORDS = Subwords(train_subwords(["ab ba"], 8))


def test_both_sides_are_encoded():
    pairs = SentencePairs(["ab", "b a"], ["ba", "a"])
    encoded = encode_pairs(SUBWORDS, pairs, "train")
    assert SUBWORDS.decode(encoded.sources) == pairs.sources
    assert SUBWORDS.decode(encoded.targets) == pairs.targets


def test_unknown_tokens_are_counted(caplog):
    pairs = SentencePairs(["a x b y", "ab", "z"], ["ab", "a", "b"])
    with caplog.at_level(logging.INFO):
        encoded = encode_pairs(SUBWORDS, pairs, "test")
    assert caplog.messages == ["test: 3 unknown tokens in 2 of 3 source sentences"]
    assert [np.sum(ids == UNKNOWN) for ids in encoded.sources] == [2, 0, 1]


def test_the_length_is_that_of_the_longer_side_with_its_end():
    sides = [[np.zeros(n, np.int32) for n in lengths] for lengths in ([2, 3], [5, 0])]
    np.testing.assert_array_equal(TokenPairs(*sides).lengths, [6, 4])
    assert TokenPairs([], []).lengths.shape == (0,)
