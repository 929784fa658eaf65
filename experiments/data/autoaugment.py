"""AutoAugment's CIFAR-10 policy (Cubuk et al., 2019), inside jit.

Each image receives one of the 25 published sub-policies. Levels 0 to 9 are read as
torchvision reads them: from no effect to the end of the paper's range, enhancements
(factor 1 - m or 1 + m) and geometric operations with a random sign.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import image_ops


class Operation(NamedTuple):
    """An image operation, its magnitude at each level, and whether a sign is drawn."""

    apply: Callable[[jax.Array, jax.Array], jax.Array]
    magnitudes: np.ndarray
    signed: bool


_NONE = np.zeros(10)
_ENHANCE = np.linspace(0, 0.9, 10)
_TRANSLATE = np.linspace(0, 150 / 331, 10)  # of ImageNet's 331 pixels

OPERATIONS = {
    "identity": Operation(image_ops.identity, _NONE, False),
    "shear_y": Operation(image_ops.shear_y, np.linspace(0, 0.3, 10), True),
    "translate_x": Operation(image_ops.translate_x, _TRANSLATE, True),
    "translate_y": Operation(image_ops.translate_y, _TRANSLATE, True),
    "rotate": Operation(image_ops.rotate, np.linspace(0, 30, 10), True),
    "brightness": Operation(image_ops.brightness, _ENHANCE, True),
    "color": Operation(image_ops.color, _ENHANCE, True),
    "contrast": Operation(image_ops.contrast, _ENHANCE, True),
    "sharpness": Operation(image_ops.sharpness, _ENHANCE, True),
    "posterize": Operation(
        image_ops.posterize, 8 - np.rint(np.linspace(0, 4, 10)), False
    ),
    "solarize": Operation(image_ops.solarize, np.linspace(256, 0, 10), False),
    "invert": Operation(image_ops.invert, _NONE, False),
    "autocontrast": Operation(image_ops.autocontrast, _NONE, False),
    "equalize": Operation(image_ops.equalize, _NONE, False),
}

# Two operations in turn, each with its probability and level.
CIFAR10_POLICY = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("color", 0.9, 9), ("equalize", 0.6, 0)),
    (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0)),
)


def autoaugment(key: jax.Array, images: jax.Array) -> jax.Array:
    """Applies a random sub-policy to each image.

    On a CPU, images are gone through one by one, and only what was drawn is computed,
    which is far faster there. Elsewhere every operation is computed for all images at
    once and what was drawn is kept: that is parallel work, and keeps a sharded batch
    sharded.

    Args:
        key: A PRNG key.
        images: uint8 [batch, height, width, 3].

    Returns:
        The augmented images, uint8 [batch, height, width, 3].
    """
    operations, magnitudes = _draw(key, len(images))
    branches = [operation.apply for operation in OPERATIONS.values()]

    def augment(image: jax.Array, chosen: jax.Array, magnitude: jax.Array) -> jax.Array:
        for slot in range(2):
            image = jax.lax.switch(chosen[slot], branches, image, magnitude[slot])
        return image

    def one_by_one(*batch: jax.Array) -> jax.Array:
        return jax.lax.map(lambda example: augment(*example), batch)

    return jax.lax.platform_dependent(
        images, operations, magnitudes, cpu=one_by_one, default=jax.vmap(augment)
    )


def _draw(key: jax.Array, batch: int) -> tuple[jax.Array, jax.Array]:
    """Draws the operations, as indices in `OPERATIONS`, and magnitudes: [batch, 2]."""
    names = list(OPERATIONS)
    table = [
        [(names.index(n), p, level) for n, p, level in sub] for sub in CIFAR10_POLICY
    ]
    index, probability, level = np.moveaxis(np.array(table), -1, 0)
    index, level = index.astype(np.int32), level.astype(np.int32)
    magnitude = np.stack([op.magnitudes for op in OPERATIONS.values()])[index, level]
    signed = np.array([op.signed for op in OPERATIONS.values()])[index]

    policy_key, apply_key, sign_key = jax.random.split(key, 3)
    policy = jax.random.randint(policy_key, (batch,), 0, len(CIFAR10_POLICY))
    applied = jax.random.bernoulli(apply_key, jnp.asarray(probability)[policy])
    negative = jax.random.bernoulli(sign_key, shape=(batch, 2))
    sign = jnp.where(negative & jnp.asarray(signed)[policy], -1, 1)
    return (
        jnp.where(applied, jnp.asarray(index)[policy], names.index("identity")),
        sign * jnp.asarray(magnitude, jnp.float32)[policy],
    )
