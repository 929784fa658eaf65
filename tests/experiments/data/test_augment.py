import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.data.augment import (
    CIFAR10,
    cutout,
    normalize,
    random_crop,
    random_flip,
)

KEY = jax.random.key(0)
# Random pixels tell shifts apart; none is zero, so that padding and masks show.
IMAGES = 1 + np.random.default_rng(0).integers(
    255, size=(2000, 6, 5, 3), dtype=np.uint8
)


def test_random_crop_draws_every_window_of_the_padded_image():
    crops = np.asarray(
        jax.jit(random_crop, static_argnames="padding")(KEY, IMAGES, padding=2)
    )
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (6, 5), (1, 2))
    # [batch, offset y, offset x, channel, height, width]
    matches = np.all(windows == crops.transpose(0, 3, 1, 2)[:, None, None], (3, 4, 5))
    np.testing.assert_array_equal(matches.sum((1, 2)), 1)
    assert crops.dtype == np.uint8
    # 2,000 draws of 25 offsets: 80 each, with a standard deviation of 9.
    np.testing.assert_allclose(matches.sum(0), 80, atol=36)


def test_random_flip_mirrors_half_of_the_images():
    flipped = np.asarray(jax.jit(random_flip)(KEY, IMAGES))
    same = np.all(flipped == IMAGES, (1, 2, 3))
    mirrored = np.all(flipped == IMAGES[:, :, ::-1], (1, 2, 3))
    np.testing.assert_array_equal(same, ~mirrored)
    assert 900 < np.sum(same) < 1100


@pytest.mark.parametrize("size", [2, 3])
def test_cutout_masks_one_square_clipped_at_the_border(size):
    images = np.asarray(jax.jit(cutout, static_argnames="size")(KEY, IMAGES, size=size))
    masked = images == 0
    np.testing.assert_array_equal(images[~masked], IMAGES[~masked])
    np.testing.assert_array_equal(
        masked, np.broadcast_to(masked[..., :1], masked.shape)
    )

    centres = set()
    for mask in masked[..., 0]:
        rows, columns = mask.any(1), mask.any(0)
        np.testing.assert_array_equal(mask, np.outer(rows, columns))
        centres.add((tuple(np.flatnonzero(rows)), tuple(np.flatnonzero(columns))))
    starts = [range(-(size // 2), side - size // 2) for side in (6, 5)]
    expected = [
        {tuple(range(max(s, 0), min(s + size, side))) for s in start}
        for start, side in zip(starts, (6, 5), strict=True)
    ]
    assert centres == {(r, c) for r in expected[0] for c in expected[1]}


def test_normalize_is_torch_normalize_after_to_tensor():
    images = np.array([[[[0, 128, 255]]]], np.uint8)
    expected = [
        (0 - 0.4914) / 0.2023,
        (128 / 255 - 0.4822) / 0.1994,
        (1 - 0.4465) / 0.2010,
    ]
    normalized = normalize(jnp.asarray(images), CIFAR10)
    assert normalized.dtype == jnp.float32
    np.testing.assert_allclose(normalized[0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "augment",
    [
        lambda key, images: random_crop(key, images, padding=2),
        random_flip,
        lambda key, images: cutout(key, images, size=2),
    ],
)
def test_randomness_comes_from_the_key_alone(augment):
    augment = jax.jit(augment)
    first, again = augment(KEY, IMAGES), augment(KEY, IMAGES)
    np.testing.assert_array_equal(first, again)
    other = augment(jax.random.key(1), IMAGES)
    assert np.mean(np.any(first != other, (1, 2, 3))) > 0.4


def test_augmentation_does_not_depend_on_the_sharding():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = jax.device_put(
        IMAGES, jax.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    )

    @jax.jit
    def augment(key, images):
        crop_key, flip_key = jax.random.split(key)
        images = random_crop(crop_key, images, padding=2)
        return normalize(random_flip(flip_key, images), CIFAR10)

    np.testing.assert_array_equal(augment(KEY, sharded), augment(KEY, IMAGES))
