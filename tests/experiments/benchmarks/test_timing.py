"""The timing of programs in turn, against a clock of our own."""

import itertools

import numpy as np
import pytest

from experiments.benchmarks.timing import (
    Spread,
    comparisons,
    interleave,
    median_interval,
    ratio,
    spread_of,
)


class Machine:
    """Programs that take a known time, on a machine that gets slower."""

    def __init__(self, seconds, slowdown=0.0):
        self.now, self.calls = 0.0, []
        self.runs = {name: self._program(name, cost) for name, cost in seconds.items()}
        self.slowdown = slowdown

    def _program(self, name, cost):
        def run(num_steps):
            self.calls.append((name, num_steps))
            self.now += cost * num_steps * (1 + self.slowdown * self.now)

        return run

    def clock(self):
        return self.now


def test_seconds_a_step_whatever_the_length_of_a_block():
    machine = Machine({"long": 0.5, "short": 2**-10})
    times = interleave(machine.runs, seconds=10.0, clock=machine.clock)
    np.testing.assert_allclose(times["long"], 0.5)
    np.testing.assert_allclose(times["short"], 2**-10)
    assert ("long", 1) in machine.calls
    assert ("short", 21) in machine.calls  # fills 20 ms
    assert ratio(times, "long", "short").median == pytest.approx(512)


def test_no_round_begins_after_the_time_is_over():
    machine = Machine({"a": 1.0, "b": 2.0})
    times = interleave(machine.runs, seconds=20.0, clock=machine.clock)
    assert len(times["a"]) == len(times["b"]) == 7  # of three seconds


def test_five_rounds_at_least():
    machine = Machine({"a": 1.0})
    times = interleave(machine.runs, seconds=0.0, clock=machine.clock)
    assert len(times["a"]) == 5


def test_after_warming_up_each_round_has_an_order_of_its_own():
    machine = Machine(dict.fromkeys("abc", 1.0))
    interleave(machine.runs, seconds=600.0, clock=machine.clock)
    order = "".join(name for name, _ in machine.calls)
    warm, rest = order[:21], order[21:]
    assert warm == "a" * 7 + "b" * 7 + "c" * 7
    rounds = [rest[i : i + 3] for i in range(0, len(rest), 3)]
    orders = {"".join(order) for order in itertools.permutations("abc")}
    assert len(rounds) > 150 and set(rounds) == orders
    assert all(rounds.count(order) > len(rounds) / 12 for order in orders)


def test_one_disturbed_call_does_not_shorten_the_blocks():
    machine = Machine({"a": 2**-10})
    calm = machine.runs["a"]

    def disturbed(num_steps):
        machine.now += 1.0 if len(machine.calls) == 2 else 0.0
        calm(num_steps)

    interleave({"a": disturbed}, seconds=0.0, clock=machine.clock)
    assert machine.calls[-1] == ("a", 21)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_a_median_holds_it_19_times_of_20(seed):
    rng = np.random.default_rng(seed)
    samples = rng.exponential(size=(2000, 50))
    intervals = np.array([median_interval(sample) for sample in samples])
    held = (intervals[:, 0] <= np.log(2)) & (np.log(2) <= intervals[:, 1])
    assert 0.95 < held.mean() < 0.98


def test_the_pairs_that_were_timed_are_compared():
    times = {"a": np.full(9, 3.0), "b": np.full(9, 2.0), "c": np.full(9, 4.0)}
    pairs = [("a", "b"), ("a", "not timed"), ("a", "c")]
    first, last = comparisons(times, pairs)
    assert (first["ours"], first["peer"]) == ("a", "b")
    assert first["ratio"]["median"] == 1.5
    assert last["peer"] == "c" and last["median_interval"] == (0.75, 0.75)


def test_a_ratio_is_taken_round_by_round():
    # In all, b takes 2 times as long as a; the machine slows down tenfold meanwhile.
    machine = Machine({"a": 1.0, "b": 2.0}, slowdown=0.01)
    times = interleave(machine.runs, seconds=900.0, clock=machine.clock)
    assert spread_of(times["a"]).upper > 1.5 * spread_of(times["a"]).lower
    found = ratio(times, "b", "a")
    assert found.median == pytest.approx(2, rel=0.05)


def test_spread_is_the_median_with_its_quartiles():
    found = spread_of(np.array([5.0, 1.0, 2.0, 4.0, 3.0]))
    assert found == Spread(median=3.0, lower=2.0, upper=4.0)
    assert found.text() == "3.00 [2.00, 4.00]"
