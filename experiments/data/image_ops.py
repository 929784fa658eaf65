"""The image operations of AutoAugment, on one image inside jit.

Each takes an image, uint8 [height, width, 3], and a magnitude, and returns an image of
the same shape and dtype. They follow Pillow, on which the published policies were
learned, to the pixel up to rounding.
"""

import jax
import jax.numpy as jnp

# About the mean colour, with which the official code fills what moves into view.
FILL = 128


def identity(image: jax.Array, magnitude: jax.Array) -> jax.Array:
    """Returns the image."""
    del magnitude
    return image


def shear_y(image: jax.Array, slope: jax.Array) -> jax.Array:
    """Moves each column down or up by `slope` pixels a pixel from the left."""
    x, y = _pixel_centres(image)
    return _sample(image, x, y + slope * x)


def translate_x(image: jax.Array, share: jax.Array) -> jax.Array:
    """Moves the image sideways by a share of its width, in whole pixels."""
    x, y = _pixel_centres(image)
    return _sample(image, x - jnp.trunc(share * image.shape[1]), y)


def translate_y(image: jax.Array, share: jax.Array) -> jax.Array:
    """Moves the image up or down by a share of its height, in whole pixels."""
    x, y = _pixel_centres(image)
    return _sample(image, x, y - jnp.trunc(share * image.shape[0]))


def rotate(image: jax.Array, degrees: jax.Array) -> jax.Array:
    """Rotates the image about its centre, counter-clockwise."""
    height, width, _ = image.shape
    x, y = _pixel_centres(image)
    x, y = x - width / 2, y - height / 2
    cos, sin = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
    return _sample(image, cos * x - sin * y + width / 2, sin * x + cos * y + height / 2)


def brightness(image: jax.Array, change: jax.Array) -> jax.Array:
    """Blends with black; 0 is no change, -1 is black."""
    return _blend(jnp.zeros_like(image), image, 1 + change)


def color(image: jax.Array, change: jax.Array) -> jax.Array:
    """Blends with the grey image; 0 is no change, -1 is grey."""
    return _blend(_grey(image), image, 1 + change)


def contrast(image: jax.Array, change: jax.Array) -> jax.Array:
    """Blends with the mean grey level; 0 is no change, -1 is uniform grey."""
    mean = jnp.floor(jnp.mean(_grey(image), dtype=jnp.float32) + 0.5)
    return _blend(jnp.full_like(image, mean), image, 1 + change)


def sharpness(image: jax.Array, change: jax.Array) -> jax.Array:
    """Blends with the image smoothed by a 3 x 3 filter; 0 is no change."""
    wide = image.astype(jnp.int32)
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    block = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    total = block + 4 * wide[1:-1, 1:-1]  # weights 1, and 5 in the centre: 13 in all
    smooth = ((2 * total + 13) // 26).astype(image.dtype)
    return _blend(image.at[1:-1, 1:-1].set(smooth), image, 1 + change)


def posterize(image: jax.Array, bits: jax.Array) -> jax.Array:
    """Keeps the highest `bits` bits of each value."""
    dropped = 8 - bits.astype(image.dtype)
    return (image >> dropped) << dropped


def solarize(image: jax.Array, threshold: jax.Array) -> jax.Array:
    """Inverts the values from `threshold` on."""
    return jnp.where(image >= threshold, 255 - image, image)


def invert(image: jax.Array, magnitude: jax.Array) -> jax.Array:
    """Inverts every value."""
    del magnitude
    return 255 - image


def autocontrast(image: jax.Array, magnitude: jax.Array) -> jax.Array:
    """Stretches each channel to the range from 0 to 255."""
    del magnitude
    wide = image.astype(jnp.int32)
    low, high = (f(wide, axis=(0, 1), keepdims=True) for f in (jnp.min, jnp.max))
    stretched = (wide - low) * 255 // jnp.maximum(high - low, 1)
    return jnp.where(high > low, stretched, wide).astype(image.dtype)


def equalize(image: jax.Array, magnitude: jax.Array) -> jax.Array:
    """Equalizes the histogram of each channel."""
    del magnitude

    def one_channel(channel: jax.Array) -> jax.Array:
        histogram = jnp.bincount(channel.ravel(), length=256)
        below = jnp.cumsum(histogram) - histogram
        # The pixels below the highest value share out the 255 steps.
        step = below[jnp.max(channel)] // 255
        table = jnp.clip((below + step // 2) // jnp.maximum(step, 1), 0, 255)
        return jnp.where(step > 0, table.astype(channel.dtype)[channel], channel)

    return jax.vmap(one_channel, in_axes=-1, out_axes=-1)(image)


def _pixel_centres(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the coordinates (x, y) of the pixels' centres, each [height, width]."""
    height, width, _ = image.shape
    x, y = jnp.meshgrid(jnp.arange(width) + 0.5, jnp.arange(height) + 0.5)
    return x, y


def _sample(image: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns the pixels in which the points (x, y) lie; `FILL` outside the image."""
    row, column = jnp.floor(y).astype(jnp.int32), jnp.floor(x).astype(jnp.int32)
    height, width, _ = image.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return jnp.where(inside[..., None], image[row, column], jnp.uint8(FILL))


def _grey(image: jax.Array) -> jax.Array:
    """Returns the luma (ITU-R 601) in 16-bit fixed point, uint8 [height, width, 1]."""
    weights = jnp.array([19595, 38470, 7471])
    luma = jnp.sum(image * weights[None, None], axis=-1, keepdims=True)
    return ((luma + 0x8000) >> 16).astype(image.dtype)


def _blend(degenerate: jax.Array, image: jax.Array, factor: jax.Array) -> jax.Array:
    """Inter- or extrapolates from the degenerate image (0) through the image (1)."""
    start, end = degenerate.astype(jnp.float32), image.astype(jnp.float32)
    return jnp.clip(start + factor * (end - start), 0, 255).astype(image.dtype)
