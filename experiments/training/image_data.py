"""The images of a run: subset, validation split and label noise, on the device."""

import functools
import logging
from typing import NamedTuple

import numpy as np

from experiments.data.images import ImageSet, average_pool
from experiments.data.label_noise import changed_share, pair_flip_noise, symmetric_noise
from experiments.data.source import load_images
from experiments.data.split import split_indices
from experiments.training.image_config import ImageData

logger = logging.getLogger(__name__)

NOISES = {
    "symmetric": symmetric_noise,
    "symmetric-others": functools.partial(symmetric_noise, others_only=True),
    "pair-flip": pair_flip_noise,
}


class ImageSplits(NamedTuple):
    """The parts of a data set, and the number of its classes."""

    train: ImageSet
    evaluated: dict[str, ImageSet]
    """`test`, with clean labels, and `validation`, with labels like those of train."""
    num_classes: int


def load_splits(data: ImageData, data_dir: str) -> ImageSplits:
    """Reads a prepared data set and cuts it as the config says.

    Raises:
        FileNotFoundError: If the data set is not prepared; the message has the command.
        ValueError: If there are fewer examples than the config asks for.
    """
    whole, test = (
        _shrunk(load_images(data.dataset, split, data_dir), data.shrink)
        for split in ("train", "test")
    )
    num_classes = int(test.labels.max()) + 1
    # With one seed for all, the noisy labels would be those that are held out.
    seeds = np.random.SeedSequence(data.data_seed).generate_state(3)
    noise_seed, split_seed, subset_seed = map(int, seeds)
    labels = NOISES[data.noise](noise_seed, whole.labels, data.noise_rate, num_classes)
    if data.noise_rate:
        share = changed_share(whole.labels, labels)
        logger.info("label noise %s: %.1f %% changed", data.noise, 100 * share)
    split = split_indices(split_seed, len(labels), data.num_validation)
    kept = split.train
    if data.num_train is not None:
        if data.num_train > len(kept):
            raise ValueError(
                f"num_train={data.num_train} exceeds the {len(kept)} examples left "
                f"beside num_validation={data.num_validation}"
            )
        kept = np.random.default_rng(subset_seed).permutation(kept)[: data.num_train]
    noisy = ImageSet(whole.images, labels)
    evaluated = {"test": test}
    if data.num_validation:
        evaluated = {"validation": noisy.take(split.validation), **evaluated}
    return ImageSplits(noisy.take(kept), evaluated, num_classes)


def _shrunk(images: ImageSet, factor: int) -> ImageSet:
    if factor == 1:
        return images
    return ImageSet(average_pool(images.images, factor), images.labels)
