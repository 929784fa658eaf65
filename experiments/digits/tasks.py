"""What a run learns from: the digits under one draw of label noise."""

from experiments.data.digits import NUM_CLASSES, DigitSplits, load_digits
from experiments.data.images import ImageSet
from experiments.data.label_noise import symmetric_noise
from experiments.data.split import split_indices
from experiments.digits.streams import streams


def noisy_digits(
    seed: int, noise_rate: float, *, num_train: int, num_validation: int
) -> DigitSplits:
    """Draws wrong labels, then cuts a validation split that has its share of them.

    Args:
        seed: Fixes the noise and the cut. The test set is the same for all seeds.
        noise_rate: The share of labels that is wrong outside the test set, drawn
            uniformly from the other nine classes.
        num_train: The number of training images.
        num_validation: The number of validation images.

    Returns:
        The three parts; the labels of the test set are clean.
    """
    chance = streams(seed)
    pool, _, test = load_digits(
        0, num_train=num_train + num_validation, num_validation=0
    )
    labels = symmetric_noise(
        chance.noise, pool.labels, noise_rate, NUM_CLASSES, others_only=True
    )
    split = split_indices(chance.split, len(labels), num_validation)
    train, validation = (ImageSet(pool.images[i], labels[i]) for i in split)
    return DigitSplits(train, validation, test)
