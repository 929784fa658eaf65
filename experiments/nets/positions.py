"""Sinusoidal positions (Vaswani et al., 2017)."""

import math

import jax
import jax.numpy as jnp


def sinusoids(positions: jax.Array, num_features: int) -> jax.Array:
    r"""Encodes positions in sines and cosines of h = `num_features` / 2 frequencies.

    .. math::
        (\sin \omega_0 t, \dots, \sin \omega_{h-1} t,
        \cos \omega_0 t, \dots, \cos \omega_{h-1} t), \quad
        \omega_i = 10000^{-i / (h - 1)}

    Sines come first and the slowest frequency is 1 / 10000, as in tensor2tensor and
    fairseq. In the paper the two alternate, and the exponent is -i / h.

    Args:
        positions: [length].
        num_features: Even, and at least 4.

    Returns:
        float32 [length, num_features].
    """
    if num_features < 4 or num_features % 2:
        raise ValueError(f"num_features must be even and >= 4, got {num_features}")
    half = num_features // 2
    frequencies = jnp.exp(-math.log(10_000) / (half - 1) * jnp.arange(half))
    angles = positions[:, None] * frequencies[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
