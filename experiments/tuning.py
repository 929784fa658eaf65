"""The choice of rho by validation, by one rule for every study."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

EDGE_NOTE = "(edge): the end of the grid, beyond which a better one may lie."


class Choice(NamedTuple):
    """The rho that validation chooses."""

    rho: float
    is_at_edge: bool
    """Whether it is the smallest or the largest of several."""

    def text(self) -> str:
        """Returns the cell of a table, `-` where rho is 0."""
        edge = " (edge)" if self.is_at_edge else ""
        return f"{self.rho:g}{edge}" if self.rho else "-"


def choose(tried: Iterable[tuple[float, float]]) -> Choice:
    """Returns the rho with the best mean score over seeds.

    Of several whose means agree in six decimals it is the smallest: rounding must not
    break a tie.

    Args:
        tried: The rho and the validation score of each run, at least of one.
    """
    scores = defaultdict(list)
    for rho, score in tried:
        scores[rho].append(score)
    best = max(scores, key=lambda rho: (round(fmean(scores[rho]), 6), -rho))
    return Choice(best, len(scores) > 1 and best in (min(scores), max(scores)))


class ChosenRuns(NamedTuple):
    """The chosen rho and the runs with it, as records."""

    choice: Choice
    runs: list[dict[str, Any]]


def chosen_runs(
    runs: Sequence[dict[str, Any]], metric: str, tuning_seed: int
) -> ChosenRuns | None:
    """Returns the rho that one seed chooses and the runs with it, of every seed.

    None if no run has that seed.

    Args:
        runs: Records with `rho`, `seed` and the metric, of one method.
        metric: What is best where it is largest, on validation.
        tuning_seed: The seed.
    """
    tried = [(run["rho"], run[metric]) for run in runs if run["seed"] == tuning_seed]
    if not tried:
        return None
    choice = choose(tried)
    return ChosenRuns(choice, [run for run in runs if run["rho"] == choice.rho])


def check_grids(grids: Mapping[str, Sequence[float]]) -> None:
    """Refuses a comparison in which one method is tuned harder than another.

    A radius must not come twice, nor be 0, which is plain training.

    Args:
        grids: The values of rho that each method tries, by the name of their option.

    Raises:
        ValueError: If they are not equally many, or none, or not positive, or repeated.
    """
    for name, rhos in grids.items():
        if min(rhos, default=1) <= 0 or len(set(rhos)) < len(rhos):
            raise ValueError(f"{name} must be positive, each value once: got {rhos}")
    lengths = [len(rhos) for rhos in grids.values()]
    if len(set(lengths)) > 1 or 0 in lengths:
        raise ValueError(
            f"{' and '.join(grids)} must be equally long and not empty, so that no "
            f"method is tuned harder: got {' and '.join(map(str, lengths))} values."
        )
