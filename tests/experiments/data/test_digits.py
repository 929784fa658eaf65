import numpy as np
import pytest
from sklearn import datasets

from experiments.data.digits import load_digits


def test_parts_are_the_digits_once_each():
    splits = load_digits(0, num_train=1000, num_validation=200)
    assert [len(part.labels) for part in splits] == [1000, 200, 597]
    images = np.concatenate([part.images for part in splits])
    labels = np.concatenate([part.labels for part in splits])
    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    rows = np.column_stack([16 * images.reshape(-1, 64), labels])
    pixels, targets = datasets.load_digits(return_X_y=True)
    expected = np.column_stack([pixels, targets])
    np.testing.assert_array_equal(
        rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)]
    )


def test_parts_are_a_function_of_seed_and_sizes():
    first, again, other = (
        load_digits(seed, num_train=1000, num_validation=200) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.train.images, again.train.images)
    assert np.mean(first.train.labels == other.train.labels) < 0.2


def test_test_part_stays_when_a_validation_part_is_cut_from_train():
    with_validation = load_digits(0, num_train=1000, num_validation=200)
    without = load_digits(0, num_train=1200, num_validation=0)
    np.testing.assert_array_equal(with_validation.test.images, without.test.images)
    np.testing.assert_array_equal(
        with_validation.train.images, without.train.images[:1000]
    )


def test_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="cannot cut"):
        load_digits(0, num_train=1700, num_validation=98)
