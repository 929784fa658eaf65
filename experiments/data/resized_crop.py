"""Crops of photographs of any size, on the host, for ImageNet."""

import numpy as np
from PIL import Image

_AREA = (0.08, 1.0)  # of the image
_RATIO = (3 / 4, 4 / 3)  # width by height
_ATTEMPTS = 10


def random_resized_crop(
    rng: np.random.Generator, image: Image.Image, *, size: int
) -> np.ndarray:
    """Cuts a window of random area and aspect ratio and resizes it to a square.

    The area is uniform in [0.08, 1] of the image's and the ratio log-uniform in
    [3/4, 4/3], drawn until the window fits (Szegedy et al., 2015). After 10 failures it
    is the largest central window with a ratio in that range.

    Args:
        rng: A random generator.
        image: An RGB image.
        size: The side of the result, in pixels.

    Returns:
        uint8 [size, size, 3].
    """
    box = _random_window(rng, *image.size) or _central_window(*image.size)
    window = image.crop(box)
    return np.asarray(window.resize((size, size), Image.Resampling.BILINEAR))


def center_crop(image: Image.Image, *, resize: int, size: int) -> np.ndarray:
    """Brings the shorter side to `resize` pixels and cuts the central square.

    Args:
        image: An RGB image.
        resize: The length of the shorter side, in pixels.
        size: The side of the square, at most `resize`.

    Returns:
        uint8 [size, size, 3].
    """
    scale = resize / min(image.size)
    width, height = (max(resize, int(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def _random_window(
    rng: np.random.Generator, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Draws a window (left, top, right, bottom), or None if none of the draws fits."""
    for _ in range(_ATTEMPTS):
        area = width * height * rng.uniform(*_AREA)
        ratio = np.exp(rng.uniform(*np.log(_RATIO)))
        w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left = int(rng.integers(width - w + 1))
            top = int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    return None


def _central_window(width: int, height: int) -> tuple[int, int, int, int]:
    """Returns the largest central window with an allowed ratio."""
    w = min(width, round(height * _RATIO[1]))
    h = min(height, round(width / _RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
