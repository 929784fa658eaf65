"""The parts of a data set: disjoint, and equally noisy."""

import numpy as np
import pytest

from experiments.data.images import ImageSet
from experiments.training import image_data
from experiments.training.image_config import ImageData

NUM = 10_000


@pytest.fixture
def clean(monkeypatch):
    """Images that carry their own index, and clean labels."""
    index = np.arange(NUM)
    digits = np.stack([index // 100, index % 100], axis=1).astype(np.uint8)
    images = np.tile(digits[:, None, None, :], (1, 2, 2, 1))
    data = ImageSet(images, (index % 10).astype(np.int32))
    monkeypatch.setattr(image_data, "load_images", lambda *arguments: data)
    return data


def places(part):
    return part.images[:, 0, 0, 0].astype(int) * 100 + part.images[:, 0, 0, 1]


@pytest.mark.parametrize("noise", image_data.NOISES)
def test_training_and_validation_labels_are_equally_noisy(clean, noise):
    # Drawn with one seed, the split and the noise once chose the same examples: nine
    # validation labels in ten were wrong.
    config = ImageData("cifar10", num_validation=2000, noise_rate=0.4, noise=noise)
    splits = image_data.load_splits(config, "")
    expected = 0.36 if noise == "symmetric" else 0.4
    for part in (splits.train, splits.evaluated["validation"]):
        wrong = np.mean(part.labels != clean.labels[places(part)])
        assert abs(wrong - expected) < 0.04


def test_the_parts_are_disjoint_and_the_test_labels_clean(clean):
    config = ImageData("cifar10", num_validation=2000, num_train=3000, noise_rate=0.4)
    splits = image_data.load_splits(config, "")
    train, validation = places(splits.train), places(splits.evaluated["validation"])
    assert len({*train}) == 3000
    assert len({*validation}) == 2000
    assert not {*train} & {*validation}
    np.testing.assert_array_equal(splits.evaluated["test"].labels, clean.labels)


def test_more_examples_than_there_are(clean):
    with pytest.raises(ValueError, match="exceeds the 8000 examples left"):
        image_data.load_splits(
            ImageData("cifar10", num_validation=2000, num_train=8001), ""
        )
