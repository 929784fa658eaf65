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
