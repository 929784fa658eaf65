"""A set of labelled images in memory."""

from typing import NamedTuple

import numpy as np


class ImageSet(NamedTuple):
    """Labelled images, as NumPy or JAX arrays.

    Attributes:
        images: uint8 in [0, 255] or float32 in [0, 1], [num, height, width, channel].
        labels: int32 [num].
    """

    images: np.ndarray
    labels: np.ndarray

    def take(self, indices: np.ndarray) -> "ImageSet":
        """Returns the examples at the given indices."""
        return ImageSet(self.images[indices], self.labels[indices])


def average_pool(images: np.ndarray, factor: int) -> np.ndarray:
    """Shrinks images by averaging blocks of factor x factor pixels.

    Args:
        images: uint8 [num, height, width, channel]; the factor divides both sides.
        factor: The side of a block, in pixels.

    Returns:
        uint8 [num, height / factor, width / factor, channel], rounded to nearest.
    """
    num, height, width, channel = images.shape
    blocks = images.reshape(
        num, height // factor, factor, width // factor, factor, channel
    )
    return np.rint(blocks.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)
