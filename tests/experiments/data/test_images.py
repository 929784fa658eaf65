import numpy as np

from experiments.data.images import ImageSet, average_pool


def test_take_keeps_images_and_labels_together():
    images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    taken = ImageSet(images, np.arange(5, dtype=np.int32)).take(np.array([4, 1]))
    np.testing.assert_array_equal(taken.images.ravel(), [4, 1])
    np.testing.assert_array_equal(taken.labels, [4, 1])


def test_average_pool_rounds_the_mean_of_each_block():
    image = np.array([[0, 1, 10, 20], [1, 1, 30, 41]], np.uint8)
    pooled = average_pool(image[None, :, :, None], 2)
    np.testing.assert_array_equal(pooled, [[[[1], [25]]]])
    assert pooled.dtype == np.uint8


def test_average_pool_keeps_channels_and_images_apart():
    images = np.random.default_rng(0).integers(256, size=(3, 8, 4, 2), dtype=np.uint8)
    pooled = average_pool(images, 4)
    assert pooled.shape == (3, 2, 1, 2)
    expected = np.rint(images[2, 4:, :, 1].mean())
    assert pooled[2, 1, 0, 1] == expected
