import numpy as np
import pytest

from experiments.data.augment import CIFAR10
from experiments.data.source import load_images, open_source
from tests.experiments.data.prepared import find_prepared, make_builder

IMAGES = list(
    np.random.default_rng(0).integers(256, size=(5, 32, 32, 3), dtype=np.uint8)
)
GREY = list(np.random.default_rng(0).integers(256, size=(3, 28, 28, 1), dtype=np.uint8))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    make_builder(
        data_dir, "cifar10", {"train": IMAGES, "test": IMAGES[:2]}
    ).download_and_prepare()
    make_builder(data_dir, "fashion_mnist", {"train": GREY}).download_and_prepare()
    return data_dir


def test_images_come_back_as_they_were_prepared(data_dir):
    images, labels = load_images("cifar10", "train", data_dir)
    np.testing.assert_array_equal(np.sort(labels), np.arange(5))
    np.testing.assert_array_equal(images, [IMAGES[label] for label in labels])
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)


def test_grey_images_have_one_channel(data_dir):
    images, labels = load_images("fashion_mnist", "train", data_dir)
    np.testing.assert_array_equal(images, [GREY[label] for label in labels])


def test_a_split_may_be_sliced(data_dir):
    whole = load_images("cifar10", "train", data_dir)
    part = load_images("cifar10", "train[1:3]", data_dir)
    np.testing.assert_array_equal(part.labels, whole.labels[1:3])


def test_a_missing_data_set_names_the_command(data_dir):
    with pytest.raises(FileNotFoundError) as error:
        open_source("cifar100", "train", data_dir)
    command = f"python -m experiments.prepare cifar100 --data-dir {data_dir}"
    assert command in str(error.value)


@pytest.mark.slow
@pytest.mark.skipif(find_prepared("cifar10") is None, reason="CIFAR-10 is not prepared")
def test_cifar10_has_its_published_statistics():
    images, labels = load_images("cifar10", "train", find_prepared("cifar10"))
    assert images.shape == (50_000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(labels), [5000] * 10)
    pixels = images.reshape(-1, 1024, 3) / np.float32(255)
    np.testing.assert_allclose(pixels.mean(1).mean(0), CIFAR10.mean, atol=2e-3)
    np.testing.assert_allclose(pixels.std(1).mean(0), CIFAR10.std, atol=5e-3)
