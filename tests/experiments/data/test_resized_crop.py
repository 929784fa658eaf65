import numpy as np
import pytest
from PIL import Image

from experiments.data.resized_crop import center_crop, random_resized_crop


def coordinates(width, height):
    """Returns an image whose red and green channels are the pixel's place in it."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8))


def test_random_windows_have_the_published_areas_and_ratios():
    image = coordinates(240, 180)
    sides = []
    for seed in range(500):
        crop = random_resized_crop(np.random.default_rng(seed), image, size=24)
        x, y = crop[..., 0].astype(int), crop[..., 1].astype(int)
        # 23 of 24 pixel distances lie between the centres at both ends.
        sides.append([(x[0, -1] - x[0, 0]) * 24 / 23, (y[-1, 0] - y[0, 0]) * 24 / 23])
        assert crop.shape == (24, 24, 3)
        assert crop.dtype == np.uint8
    width, height = np.array(sides).T
    area, ratio = width * height / (240 * 180), width / height
    assert 0.07 < area.min() < 0.1 and 0.93 < area.max() < 1.05
    assert 0.72 < ratio.min() < 0.79 and 1.27 < ratio.max() < 1.38
    # Log-uniform ratios are symmetric about 1; windows too high for the image, wide and
    # large, are drawn again.
    assert abs(np.log(ratio[area < 0.5]).mean()) < 0.03
    # Uniform areas, of which those that must fit within a 4 : 3 image are the smaller.
    assert 0.45 < np.mean(area) < 0.54


def test_random_windows_lie_anywhere_in_the_image():
    image = coordinates(240, 180)
    crops = np.array(
        [
            random_resized_crop(np.random.default_rng(s), image, size=8)
            for s in range(500)
        ]
    )
    left, right = crops[:, 0, 0, 0], 239 - crops[:, 0, -1, 0].astype(int)
    top, bottom = crops[:, 0, 0, 1], 179 - crops[:, -1, 0, 1].astype(int)
    assert abs(left.mean() - right.mean()) < 8
    assert abs(top.mean() - bottom.mean()) < 8
    assert left.max() > 120 and top.max() > 90


@pytest.mark.parametrize("turned", [False, True])
def test_a_strip_gives_its_central_window(turned):
    strip = np.asarray(coordinates(255, 6))
    strip = strip.transpose(1, 0, 2) if turned else strip
    image = Image.fromarray(np.ascontiguousarray(strip))
    crop = random_resized_crop(np.random.default_rng(0), image, size=6)
    window = Image.fromarray(np.asarray(coordinates(255, 6))[:, 123:131])
    if turned:
        window = window.transpose(Image.Transpose.TRANSPOSE)
    expected = np.asarray(window.resize((6, 6), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(crop, expected)


def test_center_crop_at_the_same_scale_is_a_slice():
    image = coordinates(100, 64)
    crop = center_crop(image, resize=64, size=48)
    np.testing.assert_array_equal(crop, np.asarray(image)[8:56, 26:74])


@pytest.mark.parametrize("size", [(200, 151), (151, 200)])
def test_center_crop_scales_the_shorter_side(size):
    crop = center_crop(coordinates(*size), resize=50, size=40).astype(int)
    scale = 151 / 50
    expected = (np.arange(40) - 19.5) * scale
    np.testing.assert_allclose(crop[0, :, 0], (size[0] - 1) / 2 + expected, atol=2)
    np.testing.assert_allclose(crop[:, 0, 1], (size[1] - 1) / 2 + expected, atol=2)
