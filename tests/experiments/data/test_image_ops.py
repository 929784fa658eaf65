"""Every operation against Pillow's, which the policies were learned with."""

import jax
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from experiments.data import image_ops

FILL = (image_ops.FILL,) * 3


def make_images():
    """Noise, few grey levels, a narrow range, a smooth ramp and a uniform channel."""
    rng = np.random.default_rng(0)
    noise = rng.integers(256, size=(32, 32, 3))
    levels = 51 * rng.integers(6, size=(32, 32, 3))
    narrow = rng.normal((90, 120, 140), (20, 3, 9), size=(32, 32, 3)).clip(0, 255)
    ramp = np.add.outer(np.arange(32), 4 * np.arange(32))[..., None] + [0, 30, 60]
    uniform = np.where(np.arange(3) == 1, 77, noise)
    return [image.astype(np.uint8) for image in (noise, levels, narrow, ramp, uniform)]


IMAGES = make_images()


def affine(*coefficients):
    return lambda image: image.transform(
        image.size, Image.Transform.AFFINE, coefficients, fillcolor=FILL
    )


GEOMETRIC = [
    (image_ops.shear_y, 0.2667, affine(1, 0, 0, 0.2667, 1, 0)),
    (image_ops.shear_y, -0.2333, affine(1, 0, 0, -0.2333, 1, 0)),
    (image_ops.translate_x, 150 / 331, affine(1, 0, -14, 0, 1, 0)),
    (image_ops.translate_x, -8 / 9 * 150 / 331, affine(1, 0, 12, 0, 1, 0)),
    (image_ops.translate_y, 3 / 9 * 150 / 331, affine(1, 0, 0, 0, 1, -4)),
    (image_ops.translate_y, -150 / 331, affine(1, 0, 0, 0, 1, 14)),
    (image_ops.rotate, 20 / 3, lambda image: image.rotate(20 / 3, fillcolor=FILL)),
    (image_ops.rotate, -30.0, lambda image: image.rotate(-30, fillcolor=FILL)),
]
ENHANCEMENTS = {
    image_ops.brightness: ImageEnhance.Brightness,
    image_ops.color: ImageEnhance.Color,
    image_ops.contrast: ImageEnhance.Contrast,
    image_ops.sharpness: ImageEnhance.Sharpness,
}
EXACT = [
    (image_ops.identity, 0, lambda image: image),
    (image_ops.posterize, 8, lambda image: ImageOps.posterize(image, 8)),
    (image_ops.posterize, 5, lambda image: ImageOps.posterize(image, 5)),
    (image_ops.solarize, 256, lambda image: ImageOps.solarize(image, 256)),
    (image_ops.solarize, 199, lambda image: ImageOps.solarize(image, 199)),
    (image_ops.solarize, 28, lambda image: ImageOps.solarize(image, 28)),
    (image_ops.invert, 0, ImageOps.invert),
    (image_ops.equalize, 0, ImageOps.equalize),
]


def both(operation, magnitude, pillow):
    """Returns our images and Pillow's, as integers that may be subtracted."""
    ours = [jax.jit(operation)(im, np.float32(magnitude)) for im in IMAGES]
    theirs = [np.asarray(pillow(Image.fromarray(image))) for image in IMAGES]
    assert all(image.dtype == np.uint8 for image in ours)
    return np.array(ours, int), np.array(theirs, int)


@pytest.mark.parametrize(("operation", "magnitude", "pillow"), EXACT)
def test_value_operations_are_pillows(operation, magnitude, pillow):
    ours, theirs = both(operation, magnitude, pillow)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("operation", "magnitude", "pillow"), GEOMETRIC)
def test_geometric_operations_are_pillows(operation, magnitude, pillow):
    ours, theirs = both(operation, magnitude, pillow)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("change", [-0.9, -0.4, 0.0, 0.7, 0.9])
@pytest.mark.parametrize("operation", ENHANCEMENTS)
def test_enhancements_are_pillows(operation, change):
    enhance = ENHANCEMENTS[operation]
    ours, theirs = both(operation, change, lambda im: enhance(im).enhance(1 + change))
    # A fused multiply-add rounds otherwise than Pillow where the blend is an integer.
    np.testing.assert_allclose(ours, theirs, atol=1)
    assert np.mean(ours != theirs) < 0.01


def test_autocontrast_is_pillows():
    ours, theirs = both(image_ops.autocontrast, 0, ImageOps.autocontrast)
    np.testing.assert_array_equal(ours, theirs)
