import jax.numpy as jnp
import numpy as np
import pytest

from experiments.nets.positions import sinusoids


def test_sines_then_cosines_of_frequencies_from_1_to_a_ten_thousandth():
    actual = sinusoids(jnp.array([0, 1, 7]), 6)
    frequencies = np.array([1, 1e-2, 1e-4])
    expected = [
        np.concatenate([np.sin(t * frequencies), np.cos(t * frequencies)])
        for t in (0, 1, 7)
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


def test_every_position_of_a_long_text_is_precise():
    positions = np.arange(1000)
    frequencies = 10_000.0 ** (-np.arange(256) / 255)
    angles = positions[:, None] * frequencies
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    actual = sinusoids(jnp.asarray(positions), 512)
    np.testing.assert_allclose(actual, expected, atol=2e-4)


@pytest.mark.parametrize("num_features", [2, 5])
def test_sizes_without_two_frequencies_are_refused(num_features):
    with pytest.raises(ValueError, match="even and >= 4"):
        sinusoids(jnp.arange(3), num_features)
