import numpy as np
import pytest

from experiments.data.images import ImageSet, average_pool
from experiments.training import image_data
from experiments.training.image_config import ImageData
from experiments.training.image_data import load_splits

NUM_CLASSES = 10


def make_images(seed: int, num: int) -> ImageSet:
    """Draws images whose first pixel numbers them, in red and green."""
    rng = np.random.default_rng(seed)
    images = rng.integers(256, size=(num, 4, 4, 3), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.divmod(np.arange(num), 256)
    return ImageSet(images, np.arange(num, dtype=np.int32) % NUM_CLASSES)


STORED = {"train": make_images(0, 600), "test": make_images(1, 50)}


@pytest.fixture(autouse=True)
def stored(monkeypatch):
    monkeypatch.setattr(
        image_data, "load_images", lambda name, split, data_dir: STORED[split]
    )


def load(**options):
    return load_splits(ImageData("cifar10", **options), "")


def numbers(images: ImageSet) -> np.ndarray:
    return images.images[:, 0, 0, :2] @ [256, 1]


def test_by_default_all_is_as_it_is_stored():
    splits = load()
    np.testing.assert_array_equal(splits.train.images, STORED["train"].images)
    np.testing.assert_array_equal(splits.train.labels, STORED["train"].labels)
    assert splits.evaluated.keys() == {"test"}
    np.testing.assert_array_equal(
        splits.evaluated["test"].images, STORED["test"].images
    )
    assert splits.num_classes == NUM_CLASSES


def test_the_validation_split_is_no_part_of_train():
    splits = load(num_validation=100)
    train, validation = numbers(splits.train), numbers(splits.evaluated["validation"])
    assert (len(train), len(validation)) == (500, 100)
    np.testing.assert_array_equal(np.sort([*train, *validation]), np.arange(600))


def test_a_subset_is_drawn_beside_the_validation_split():
    whole, part = load(num_validation=100), load(num_validation=100, num_train=64)
    validation = whole.evaluated["validation"]
    np.testing.assert_array_equal(
        part.evaluated["validation"].images, validation.images
    )
    chosen = numbers(part.train)
    assert len(set(chosen)) == 64
    assert not set(chosen) & set(numbers(validation))
    np.testing.assert_array_equal(part.train.labels, chosen % NUM_CLASSES)


def test_a_subset_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="num_train=501 exceeds the 500 examples left"):
        load(num_validation=100, num_train=501)


@pytest.mark.parametrize(
    ("noise", "wrong"),
    [("symmetric", 0.36), ("symmetric-others", 0.4), ("pair-flip", 0.4)],
)
def test_noise_is_in_train_and_validation_and_not_in_test(noise, wrong):
    # Drawn with one seed, the split and the noise once chose the same examples: nine
    # validation labels in ten were wrong.
    splits = load(noise=noise, noise_rate=0.4, num_validation=300)
    for images in (splits.train, splits.evaluated["validation"]):
        true = numbers(images) % NUM_CLASSES
        assert np.mean(images.labels != true) == pytest.approx(wrong, abs=0.1)
        if noise == "pair-flip":
            shift = np.unique((images.labels - true) % NUM_CLASSES)
            np.testing.assert_array_equal(shift, [0, 1])
    np.testing.assert_array_equal(
        splits.evaluated["test"].labels, STORED["test"].labels
    )


def test_the_data_seed_decides_split_subset_and_noise():
    options = {"num_validation": 100, "num_train": 200, "noise_rate": 0.5}
    first, again = load(**options).train, load(**options).train
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    other = load(**options, data_seed=1).train
    assert set(numbers(other)) != set(numbers(first))


def test_split_subset_and_noise_are_drawn_apart(monkeypatch):
    seeds, default_rng = [], np.random.default_rng

    def recorded(seed):
        seeds.append(seed)
        return default_rng(seed)

    monkeypatch.setattr(np.random, "default_rng", recorded)
    load(num_validation=100, num_train=200, noise_rate=0.5)
    assert len(set(seeds)) == len(seeds) == 3


def test_every_split_is_shrunk():
    splits = load(shrink=2, num_validation=100)
    test = splits.evaluated["test"]
    np.testing.assert_array_equal(test.images, average_pool(STORED["test"].images, 2))
    for images in (splits.train, splits.evaluated["validation"]):
        assert images.images.shape[1:] == (2, 2, 3)
