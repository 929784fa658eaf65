"""Sentence pairs as ids of subwords."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.data.sentences import SentencePairs
from experiments.data.special_tokens import UNKNOWN
from experiments.data.subwords import Subwords

logger = logging.getLogger(__name__)


class TokenPairs(NamedTuple):
    """Sentences and their translations as ids, int32 [length] each.

    The ids neither begin nor end with a special one; batches add these.
    """

    sources: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]

    @property
    def lengths(self) -> np.ndarray:
        """The longer side of each pair with its `END`, in tokens; int64 [num]."""
        sides = [[len(ids) for ids in side] for side in self]
        return np.max(np.array(sides, np.int64), axis=0) + 1


def encode_pairs(subwords: Subwords, pairs: SentencePairs, split: str) -> TokenPairs:
    """Encodes both sides, and logs how much of them the subwords do not know.

    Args:
        subwords: What source and target share.
        pairs: The sentences.
        split: What to call them in the log.
    """
    encoded = TokenPairs(*(subwords.encode(side) for side in pairs))
    for name, side in zip(("source", "target"), encoded, strict=True):
        unknown = [int(np.sum(ids == UNKNOWN)) for ids in side]
        if any(unknown):
            logger.info(
                "%s: %d unknown tokens in %d of %d %s sentences",
                split,
                sum(unknown),
                np.count_nonzero(unknown),
                len(side),
                name,
            )
    return encoded
