import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.data.split import split_indices


@given(seed=st.integers(0, 2**32), num=st.integers(0, 60), share=st.floats(0, 1))
def test_split_is_disjoint_and_exhaustive(seed, num, share):
    num_validation = round(share * num)
    split = split_indices(seed, num, num_validation)
    assert len(split.validation) == num_validation
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(num))


def test_split_depends_on_the_seed_alone():
    first, again, other = (split_indices(s, 1000, 100) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.validation, again.validation)
    # Two draws of 100 from 1,000 share 10 on average.
    assert len(np.intersect1d(first.validation, other.validation)) < 30


def test_too_large_a_split_is_refused():
    with pytest.raises(ValueError, match="cannot cut 11 of 10"):
        split_indices(0, 10, 11)


def test_split_stays_what_it_was():
    # The stream is NumPy's. Should this change, so does every tuned rho.
    np.testing.assert_array_equal(split_indices(0, 10, 4).validation, [2, 4, 6, 7])
