"""Sentences and their translations in memory."""

from collections.abc import Sequence
from typing import NamedTuple


class SentencePairs(NamedTuple):
    """Sentences and their translations, line by line.

    Attributes:
        sources: What is translated.
        targets: The translations, as many.
    """

    sources: Sequence[str]
    targets: Sequence[str]

    def take(self, indices: Sequence[int]) -> "SentencePairs":
        """Returns the pairs at the given indices."""
        return SentencePairs(
            [self.sources[index] for index in indices],
            [self.targets[index] for index in indices],
        )
