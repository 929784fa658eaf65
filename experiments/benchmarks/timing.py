"""Times of several programs in one run, taken in turn."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Run: TypeAlias = Callable[[int], None]
"""Takes a number of steps and returns when the device has finished them."""

Clock: TypeAlias = Callable[[], float]
Times: TypeAlias = dict[str, np.ndarray]
"""Program to seconds a step [round]."""

_LEAST_ROUNDS = 5
_LEAST_BLOCK = 0.02
"""Seconds; shorter blocks would time the clock and the waking of threads."""


class Spread(NamedTuple):
    """A median with its quartiles."""

    median: float
    lower: float
    upper: float

    def text(self, digits: int = 2) -> str:
        """Returns `median [lower, upper]`."""
        median, lower, upper = (f"{value:.{digits}f}" for value in self)
        return f"{median} [{lower}, {upper}]"


def spread_of(values: np.ndarray) -> Spread:
    """Returns the median and the quartiles of a sample."""
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return Spread(median, lower, upper)


def comparisons(times: Times, pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Returns, for JSON, how much longer ours takes than the peer, for each pair.

    Of each that was timed: `ours` and `peer`; `ratio`, the spread of the rounds, which
    more rounds do not narrow; and `median_interval`, in which the median lies with 95 %
    confidence.
    """
    return [
        {
            "ours": ours,
            "peer": peer,
            "ratio": ratio(times, ours, peer)._asdict(),
            "median_interval": median_interval(times[ours] / times[peer]),
        }
        for ours, peer in pairs
        if ours in times and peer in times
    ]


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Returns an interval of the median of 95 % confidence, whatever the distribution.

    Between order statistics, sqrt(n) / 2 * 1.96 from the middle; of few values the
    least and the largest, of less confidence.
    """
    rank = math.floor(len(values) / 2 - 0.98 * math.sqrt(len(values)))
    outside = max(0, rank - 1)
    ordered = np.sort(values)
    return float(ordered[outside]), float(ordered[-1 - outside])


def ratio(times: Times, name: str, reference: str) -> Spread:
    """Returns how much longer one program takes than another, round by round."""
    return spread_of(times[name] / times[reference])


def interleave(
    runs: Mapping[str, Run], seconds: float, clock: Clock = time.perf_counter
) -> Times:
    """Times programs round by round, so that what disturbs one disturbs all.

    Each program is warmed up, and then timed in blocks of as many steps as fill 20 ms.
    Each round has an order of its own, so that no program always follows the same.

    Args:
        runs: The programs by name.
        seconds: When to stop: no round begins later, but the first five.
        clock: Seconds since any moment.

    Returns:
        Seconds a step of each program in each round.
    """
    steps = {name: _steps_of_a_block(run, clock) for name, run in runs.items()}
    names = list(runs)
    rounds: list[dict[str, float]] = []
    orders = np.random.default_rng(0)
    began = clock()
    while len(rounds) < _LEAST_ROUNDS or clock() - began < seconds:
        rounds.append(
            {
                name: _timed(runs[name], steps[name], clock) / steps[name]
                for name in orders.permutation(names).tolist()
            }
        )
    return {name: np.array([times[name] for times in rounds]) for name in names}


def _steps_of_a_block(run: Run, clock: Clock) -> int:
    run(1)
    run(1)
    fastest = min(_timed(run, 1, clock) for _ in range(5))
    return max(1, math.ceil(_LEAST_BLOCK / max(fastest, 1e-6)))


def _timed(run: Run, num_steps: int, clock: Clock) -> float:
    began = clock()
    run(num_steps)
    return clock() - began
