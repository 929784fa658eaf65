import numpy as np
import pytest

from experiments.frontier.methods import METHODS
from experiments.frontier.times import BLOCK, ratios


def test_a_ratio_is_that_of_the_same_round():
    seconds = {
        name: np.array([2.0, 20.0]) for name in METHODS if name not in ("sgd", "asam")
    }
    seconds |= {"sgd": np.array([1.0, 10.0]), "asam": np.array([1.8, 18.0])}
    found = {name: ratio["median"] for name, ratio in ratios(seconds).items()}
    assert list(found) == list(METHODS)
    assert found["sgd"] == 1
    assert found["sgd-2x"] == 2
    assert found["sam"] == 2
    assert found["asam-late"] == pytest.approx(0.75 + 0.25 * 1.8)


def test_every_k_is_timed_over_whole_periods():
    periods = [method.ascent(1.0).every for method in METHODS.values()]
    assert all(BLOCK % period == 0 for period in periods)
