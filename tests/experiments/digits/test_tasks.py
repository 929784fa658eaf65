import numpy as np
import pytest

from experiments.data.digits import load_digits
from experiments.data.label_noise import changed_share
from experiments.digits.streams import streams
from experiments.digits.tasks import noisy_digits


def draw(seed, rate):
    return noisy_digits(seed, rate, num_train=960, num_validation=240)


def clean_labels(images):
    """The labels that the images have in the unaltered digits."""
    digits = load_digits(0, num_train=1797, num_validation=0).train
    label_of = {
        image.tobytes(): label
        for image, label in zip(digits.images, digits.labels, strict=True)
    }
    return np.array([label_of[image.tobytes()] for image in images])


def test_training_and_validation_labels_are_equally_noisy_and_test_labels_clean():
    # Were noise and split drawn from one seed, every validation label would be wrong.
    train, validation, test = zip(*(draw(seed, 0.4) for seed in range(5)), strict=True)
    for parts, num, share, tolerance in [
        (train, 960, 0.4, 0.02),
        (validation, 240, 0.4, 0.05),
        (test, 597, 0, 0),
    ]:
        assert {len(part.labels) for part in parts} == {num}
        wrong = [
            changed_share(clean_labels(part.images), part.labels) for part in parts
        ]
        assert np.mean(wrong) == pytest.approx(share, abs=tolerance)


def test_the_share_of_wrong_labels_is_exact():
    train, validation, _ = draw(0, 0.4)
    images = np.concatenate([train.images, validation.images])
    labels = np.concatenate([train.labels, validation.labels])
    assert changed_share(clean_labels(images), labels) == 0.4


def test_seeds_share_the_test_set_alone():
    first, second = draw(0, 0.4), draw(1, 0.4)
    np.testing.assert_array_equal(first.test.images, second.test.images)
    assert np.mean(first.train.images == second.train.images) < 0.9
    assert len(set(streams(0)) | set(streams(1))) == 8


def test_noise_rate_does_not_move_the_split():
    np.testing.assert_array_equal(
        draw(3, 0.4).validation.images, draw(3, 0.0).validation.images
    )
