"""Pairs of sentences grouped by length, so that a few shapes hold all batches.

A batch is one of a few fixed shapes [batch, length], each of which is compiled once.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.data.token_pairs import TokenPairs

logger = logging.getLogger(__name__)


class Bucket(NamedTuple):
    """The shape of a batch, of its source as of its target.

    Attributes:
        batch: Pairs a batch.
        length: Tokens a sentence, the special one at its beginning or end included.
    """

    batch: int
    length: int


class BucketedPairs(NamedTuple):
    """Pairs, and for each bucket the indices of those that it holds."""

    pairs: TokenPairs
    buckets: tuple[Bucket, ...]
    members: tuple[np.ndarray, ...]

    @property
    def num_batches(self) -> int:
        """The number of batches that hold every pair once."""
        return sum(
            -(-len(members) // bucket.batch)
            for bucket, members in zip(self.buckets, self.members, strict=True)
        )


def make_buckets(lengths: Sequence[int], num_tokens: int) -> tuple[Bucket, ...]:
    """Fills a budget of tokens with sentences of each length.

    The budget bounds batch * length: the tokens of the source and, separately, those of
    the target, padding and the special token included. fairseq's `--max-tokens` counts
    the same, on the longest pair of a batch.

    Args:
        lengths: The lengths of the buckets, in tokens.
        num_tokens: The budget of a batch.

    Returns:
        The buckets, the shortest first.

    Raises:
        ValueError: The budget does not hold a sentence of some length.
    """
    lengths = sorted(set(lengths))
    if not lengths or lengths[0] < 1 or num_tokens < lengths[-1]:
        raise ValueError(
            f"a batch of {num_tokens} tokens cannot hold a sentence of each length in "
            f"{lengths}"
        )
    return tuple(Bucket(num_tokens // length, length) for length in lengths)


def into_buckets(pairs: TokenPairs, buckets: tuple[Bucket, ...]) -> BucketedPairs:
    """Gives each pair to the shortest bucket that holds both of its sides.

    Raises:
        ValueError: A pair is longer than the longest bucket.
    """
    limit = buckets[-1].length
    if too_long := np.count_nonzero(pairs.lengths > limit):
        raise ValueError(
            f"{too_long} of {len(pairs.sources)} pairs are longer than the longest "
            f"bucket, {limit} tokens: one has {pairs.lengths.max()}"
        )
    places = np.searchsorted([bucket.length for bucket in buckets], pairs.lengths)
    members = tuple(np.flatnonzero(places == place) for place in range(len(buckets)))
    return BucketedPairs(pairs, buckets, members)


def without_long(pairs: TokenPairs, limit: int) -> TokenPairs:
    """Leaves out pairs of more than `limit` tokens a side, and logs how many."""
    kept = np.flatnonzero(pairs.lengths <= limit).tolist()
    if skipped := len(pairs.sources) - len(kept):
        logger.info(
            "%d of %d pairs are left out: more than %d tokens",
            skipped,
            len(pairs.sources),
            limit,
        )
    return TokenPairs(*([side[index] for index in kept] for side in pairs))
