"""Prepared TFDS data sets, read from array_record without TensorFlow."""

import pathlib
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.data_sources.base import BaseDataSource

# TFDS finds a builder by its name once it is imported.
from experiments.data import iwslt14, multi30k  # noqa: F401
from experiments.data.images import ImageSet
from experiments.data.sentences import SentencePairs


def open_source(
    name: str,
    split: str,
    data_dir: str | pathlib.Path | None,
    *,
    decoders: Mapping[str, Any] | None = None,
) -> BaseDataSource:
    """Opens one split of a prepared data set for random access.

    Args:
        name: The name of the data set in TFDS, such as "cifar10".
        split: A split in TFDS's notation, such as "test" or "train[:1000]". TFDS
            shuffles when it prepares, so that a slice is a random sample.
        data_dir: Where TFDS keeps its data; None stands for its default.
        decoders: What TFDS should decode in another way or not at all.

    Returns:
        The examples, a sequence of dictionaries of features.

    Raises:
        FileNotFoundError: The data set is not prepared. The message has the command.
    """
    builder = tfds.builder(name, data_dir=data_dir)
    if not builder.is_prepared():
        option = "" if data_dir is None else f" --data-dir {data_dir}"
        raise FileNotFoundError(
            f"{name} is not prepared in {builder.data_dir}; "
            f"run: python -m experiments.prepare {name}{option}"
        )
    source = tfds.data_source(
        name, split=split, data_dir=data_dir, download=False, decoders=decoders
    )
    return cast(BaseDataSource, source)


def load_images(name: str, split: str, data_dir: str | pathlib.Path | None) -> ImageSet:
    """Reads a split of small images into memory; the arguments are `open_source`'s.

    Returns:
        Images uint8 [num, height, width, channel] and labels int32 [num], host arrays.
    """
    source = open_source(name, split, data_dir)
    # One request for all records is twice as fast as one request a record.
    examples = source.__getitems__(range(len(source)))
    images = np.stack([example["image"] for example in examples])
    labels = np.array([example["label"] for example in examples], np.int32)
    return ImageSet(images, labels)


def load_sentences(
    name: str,
    split: str,
    data_dir: str | pathlib.Path | None,
    *,
    source: str,
    target: str,
) -> SentencePairs:
    """Reads a split of sentence pairs into memory.

    Args:
        name: As for `open_source`.
        split: As for `open_source`.
        data_dir: As for `open_source`.
        source: The code of the language that is translated, such as "de".
        target: The code of the language of the translations.

    Returns:
        The pairs, in the order in which TFDS wrote them.
    """
    examples = open_source(name, split, data_dir)
    pairs = examples.__getitems__(range(len(examples)))
    return SentencePairs(
        *([pair[language].decode() for pair in pairs] for language in (source, target))
    )
