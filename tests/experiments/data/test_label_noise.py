import numpy as np
import pytest

from experiments.data.label_noise import (
    changed_share,
    pair_flip_noise,
    symmetric_noise,
)

NUM = 50_000
LABELS = np.random.default_rng(0).integers(10, size=NUM).astype(np.int32)


def transition_matrix(noisy):
    """Share of true class i (rows) that is now labelled j (columns)."""
    counts = np.zeros((10, 10))
    np.add.at(counts, (LABELS, noisy), 1)
    return counts / counts.sum(axis=1, keepdims=True)


# Shares are over 5,000 examples a class: a standard error of at most 0.007.
@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6, 0.8])
def test_symmetric_noise_matches_its_transition_matrix(rate):
    noisy = symmetric_noise(1, LABELS, rate, 10)
    expected = (1 - rate) * np.eye(10) + rate / 10
    np.testing.assert_allclose(transition_matrix(noisy), expected, atol=0.03)
    assert changed_share(LABELS, noisy) == pytest.approx(0.9 * rate, abs=0.006)


def test_symmetric_noise_from_the_others_changes_the_exact_share():
    noisy = symmetric_noise(1, LABELS, 0.4, 10, others_only=True)
    expected = 0.6 * np.eye(10) + 0.4 / 9 * (1 - np.eye(10))
    np.testing.assert_allclose(transition_matrix(noisy), expected, atol=0.03)
    assert changed_share(LABELS, noisy) == 0.4


def test_pair_flip_noise_goes_to_the_next_class_only():
    noisy = pair_flip_noise(1, LABELS, 0.45, 10)
    expected = 0.55 * np.eye(10) + 0.45 * np.roll(np.eye(10), 1, axis=1)
    np.testing.assert_allclose(transition_matrix(noisy), expected, atol=0.03)
    assert changed_share(LABELS, noisy) == 0.45


@pytest.mark.parametrize("noise", [symmetric_noise, pair_flip_noise])
def test_noise_is_a_pure_function_of_seed_and_labels(noise):
    before = LABELS.copy()
    noisy = noise(3, LABELS, 0.4, 10)
    np.testing.assert_array_equal(LABELS, before)
    np.testing.assert_array_equal(noise(3, LABELS, 0.4, 10), noisy)
    assert noisy.dtype == LABELS.dtype
    assert changed_share(noise(4, LABELS, 0.4, 10), noisy) > 0.3


@pytest.mark.parametrize("noise", [symmetric_noise, pair_flip_noise])
def test_no_noise_changes_nothing(noise):
    assert changed_share(LABELS, noise(3, LABELS, 0.0, 10)) == 0


@pytest.mark.parametrize("noise", [symmetric_noise, pair_flip_noise])
def test_impossible_arguments_are_refused(noise):
    with pytest.raises(ValueError, match="rate"):
        noise(0, LABELS, 1.1, 10)
    with pytest.raises(ValueError, match=r"labels must be in \[0, 9\)"):
        noise(0, LABELS, 0.1, 9)


# The stream is NumPy's. Should these change, so does every result with noisy labels.
@pytest.mark.parametrize(
    ("noisy", "golden"),
    [
        (
            symmetric_noise(0, np.arange(10), 0.6, 10),
            [0, 1, 9, 6, 5, 5, 6, 7, 8, 9],
        ),
        (
            symmetric_noise(0, np.arange(10), 0.6, 10, others_only=True),
            [0, 1, 1, 9, 9, 0, 2, 4, 8, 9],
        ),
        (
            pair_flip_noise(0, np.arange(10), 0.6, 10),
            [0, 1, 3, 4, 5, 6, 7, 8, 8, 9],
        ),
    ],
)
def test_noise_stays_what_it_was(noisy, golden):
    np.testing.assert_array_equal(noisy, golden)
