"""What the models learn: data and a net."""

from typing import NamedTuple

import jax
import numpy as np

from experiments.correlation.config import Study
from experiments.correlation.nets import Net, conv_net, mlp
from experiments.data import augment
from experiments.data.images import ImageSet
from experiments.digits.tasks import noisy_digits
from experiments.training.image_config import ImageData
from experiments.training.image_data import load_splits

NUM_CLASSES = 10


class Data(NamedTuple):
    """Images float32, labels int32.

    Attributes:
        train: What is fitted, noise and all.
        test: Held out; clean labels.
    """

    train: ImageSet
    test: ImageSet


def load_data(study: Study, seed: int, data_dir: str) -> Data:
    """Returns the data of a seed, which fixes the label noise.

    Raises:
        FileNotFoundError: If the data set is not prepared; the message has the command.
    """
    if study.dataset == "digits":
        splits = noisy_digits(
            seed, study.noise_rate, num_train=study.num_train, num_validation=0
        )
        return Data(splits.train, splits.test)
    splits = load_splits(
        ImageData(
            study.dataset,
            num_train=study.num_train,
            noise_rate=study.noise_rate,
            noise="symmetric-others",
            data_seed=seed,
        ),
        data_dir,
    )
    return Data(_normalized(splits.train), _normalized(splits.evaluated["test"]))


def make_net(study: Study, data: Data) -> Net:
    """Returns the net of a study, for images like these."""
    height, width, channels = data.train.images.shape[1:]
    if study.net == "mlp":
        return mlp(height * width * channels, study.widths, NUM_CLASSES)
    return conv_net(channels, study.widths, NUM_CLASSES)


def _normalized(part: ImageSet) -> ImageSet:
    images = augment.normalize(jax.numpy.asarray(part.images), augment.CIFAR10)
    return ImageSet(np.asarray(images), part.labels)
