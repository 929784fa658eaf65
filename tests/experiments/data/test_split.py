import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.data.split import split_indices


@given(
    seed=st.integers(0, 2**32),
    labels=st.lists(st.integers(0, 4), max_size=60),
    share=st.floats(0, 1),
    stratified=st.booleans(),
)
def test_split_is_disjoint_and_exhaustive(seed, labels, share, stratified):
    num_validation = round(share * len(labels))
    split = split_indices(seed, np.array(labels), num_validation, stratified=stratified)
    assert len(split.validation) == num_validation
    np.testing.assert_array_equal(
        np.sort(np.concatenate(split)), np.arange(len(labels))
    )


def test_split_depends_on_the_seed_alone():
    labels = np.arange(1000) % 10
    first, again, other = (split_indices(s, labels, 100) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.validation, again.validation)
    # Two draws of 100 from 1,000 share 10 on average.
    assert len(np.intersect1d(first.validation, other.validation)) < 30


def test_stratified_split_keeps_class_proportions():
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    split = split_indices(0, labels, 50, stratified=True)
    np.testing.assert_array_equal(np.bincount(labels[split.validation]), [35, 10, 5])


def test_stratified_split_of_equal_classes_differs_by_one_at_most():
    labels = np.arange(1000) % 10
    split = split_indices(0, labels, 55, stratified=True)
    counts = np.bincount(labels[split.validation], minlength=10)
    np.testing.assert_array_equal(np.sort(counts), [5] * 5 + [6] * 5)


def test_stratified_split_rounds_to_the_nearest_share():
    labels = np.repeat([0, 1], [90, 10])
    # The shares of 4 are 3.6 and 0.4.
    split = split_indices(0, labels, 4, stratified=True)
    np.testing.assert_array_equal(labels[split.validation], [0, 0, 0, 0])


def test_too_large_a_split_is_refused():
    with pytest.raises(ValueError, match="cannot cut 11 of 10"):
        split_indices(0, np.zeros(10, int), 11)


def test_split_stays_what_it_was():
    # The stream is NumPy's. Should this change, so does every tuned rho.
    np.testing.assert_array_equal(
        split_indices(0, np.arange(10), 4).validation, [2, 4, 6, 7]
    )
