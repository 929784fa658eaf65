"""Files of sentences, one a line, and TFDS data sets of their pairs."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds

from experiments.data.sentences import SentencePairs

logger = logging.getLogger(__name__)


def text_features(languages: Sequence[str]) -> tfds.features.FeaturesDict:
    """Returns the features of a data set: a text in each language, by its code."""
    return tfds.features.FeaturesDict(
        {language: tfds.features.Text() for language in languages}
    )


def text_examples(
    pairs: SentencePairs, languages: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the pairs as TFDS writes them, with their place as key."""
    for key, texts in enumerate(zip(*pairs, strict=True)):
        yield key, dict(zip(languages, texts, strict=True))


def decode_lines(content: bytes, name: str) -> list[str]:
    r"""Returns the lines of a file, which only "\n" and "\r\n" end.

    Transcripts hold other characters that `str.splitlines` takes for an end of line,
    such as U+2028, and would fall out of step with their translations.

    Args:
        content: UTF-8, with or without an end of line at the end of the file.
        name: What to call the file in an error.

    Raises:
        ValueError: It is not UTF-8.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8: {error}") from error
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def aligned(sources: Sequence[str], targets: Sequence[str], name: str) -> SentencePairs:
    """Pairs the lines of two files.

    Raises:
        ValueError: One file has more lines than the other.
    """
    if len(sources) != len(targets):
        raise ValueError(
            f"{name}: {len(sources)} source lines and {len(targets)} target lines "
            "cannot be translations of each other"
        )
    return SentencePairs(sources, targets)


def without_empty(pairs: SentencePairs, name: str) -> SentencePairs:
    """Leaves out pairs with nothing on a side, and logs how many."""
    kept = [
        index
        for index, sides in enumerate(zip(*pairs, strict=True))
        if all(side.strip() for side in sides)
    ]
    if skipped := len(pairs.sources) - len(kept):
        logger.info(
            "%s: %d of %d pairs are left out: an empty line",
            name,
            skipped,
            len(pairs.sources),
        )
    return pairs.take(kept)
