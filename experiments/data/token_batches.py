"""Batches of token ids: which pairs, in which order, and how they are laid out."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from experiments.data.buckets import Bucket, BucketedPairs
from experiments.data.special_tokens import BEGIN, END, PADDING
from experiments.data.token_pairs import TokenPairs

NO_PAIR = -1


class TokenBatch(NamedTuple):
    """Ids as a net reads and writes them, int32 [batch, length], padded with `PADDING`.

    A row without a pair is padding throughout; its loss has no weight, since that of
    `PADDING` in `target_out` has none.

    Attributes:
        source: Ends with `END`.
        target_in: Begins with `BEGIN`: the target shifted by one.
        target_out: Ends with `END`: what is to be predicted.
    """

    source: np.ndarray
    target_in: np.ndarray
    target_out: np.ndarray


class PlannedBatch(NamedTuple):
    """The pairs of a batch.

    Attributes:
        bucket: The shape of the batch.
        indices: Which pair stands in which row, int64 [batch]; `NO_PAIR` in padding.
    """

    bucket: Bucket
    indices: np.ndarray


def epoch_plan(bucketed: BucketedPairs, *, seed: int, epoch: int) -> list[PlannedBatch]:
    """Plans the batches of an epoch: every pair once, shuffled within its bucket.

    The batches of all buckets come in random order. The last one of each bucket is
    filled up with rows of padding, so that the number of batches, `num_batches`, is the
    same in every epoch.
    """
    # (seed, 0) alone would be the stream of the seed, by which others draw the pairs.
    stream = np.random.SeedSequence(seed, spawn_key=(epoch,))
    rng = np.random.default_rng(stream)
    shuffled = tuple(rng.permutation(members) for members in bucketed.members)
    plan = _whole_batches(bucketed._replace(members=shuffled))
    return [plan[place] for place in rng.permutation(len(plan))]


def train_batches(
    bucketed: BucketedPairs, *, seed: int, start: int
) -> Iterator[TokenBatch]:
    """Yields training batches without end, epoch by epoch.

    Args:
        bucketed: The training pairs.
        seed: Of the order; batch k is a function of the seed and k alone.
        start: The number of batches already taken, to resume there.

    Raises:
        ValueError: There is no pair.
    """
    if not bucketed.num_batches:
        raise ValueError("there are no pairs to train on")
    first_epoch, skipped = divmod(start, bucketed.num_batches)
    for epoch in itertools.count(first_epoch):
        for planned in epoch_plan(bucketed, seed=seed, epoch=epoch)[skipped:]:
            yield _laid_out(bucketed.pairs, planned)
        skipped = 0


def evaluation_batches(
    bucketed: BucketedPairs,
) -> Iterator[tuple[np.ndarray, TokenBatch]]:
    """Yields every pair once, with the indices of the pairs as in `PlannedBatch`."""
    for planned in _whole_batches(bucketed):
        yield planned.indices, _laid_out(bucketed.pairs, planned)


def filled_up(batch: TokenBatch, multiple: int) -> TokenBatch:
    """Adds rows without a pair until their number is a multiple, such as of devices.

    So the pairs of a batch do not depend on how many devices share it.
    """
    missing = -len(batch.source) % multiple
    return TokenBatch(
        *(np.pad(ids, ((0, missing), (0, 0)), constant_values=PADDING) for ids in batch)
    )


def _whole_batches(bucketed: BucketedPairs) -> list[PlannedBatch]:
    """Cuts the members of each bucket into batches, and fills up the last."""
    plan = []
    for bucket, members in zip(bucketed.buckets, bucketed.members, strict=True):
        steps = -(-len(members) // bucket.batch)
        rows = np.full(steps * bucket.batch, NO_PAIR)
        rows[: len(members)] = members
        plan += [PlannedBatch(bucket, row) for row in rows.reshape(steps, bucket.batch)]
    return plan


def _laid_out(pairs: TokenPairs, planned: PlannedBatch) -> TokenBatch:
    batch = TokenBatch(*(np.full(planned.bucket, PADDING, np.int32) for _ in range(3)))
    for row, index in enumerate(planned.indices):
        if index == NO_PAIR:
            continue
        source, target = pairs.sources[index], pairs.targets[index]
        batch.source[row, : len(source)] = source
        batch.source[row, len(source)] = END
        batch.target_out[row, : len(target)] = target
        batch.target_out[row, len(target)] = END
        batch.target_in[row, 0] = BEGIN
        batch.target_in[row, 1 : len(target) + 1] = target
    return batch
