"""Training with one seed at every rho, and with the others at the chosen one."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from experiments.command import Config
from experiments.runs import Run
from experiments.settings_error import blaming_settings
from experiments.tuning import choose

ConfigT = TypeVar("ConfigT", bound=Config)
Setting = TypeVar("Setting")


def tune_then_repeat(
    grids: Mapping[Setting, Sequence[float]],
    seeds: Sequence[int],
    config_of: Callable[[Setting, float], ConfigT],
    finish: Callable[[Sequence[ConfigT], Sequence[int]], Iterable[Run]],
    score: Callable[[Run], float],
) -> Iterator[tuple[Setting, Run]]:
    """Yields each finished run with its setting.

    The first seed tries every rho of every setting. The others run at the rho that it
    chooses.

    Args:
        grids: The values of rho of each setting, such as a method.
        seeds: One at least.
        config_of: Returns the config of a setting and a rho, each under its own name.
        finish: Trains configs with seeds, and returns the runs in any order.
        score: Returns what is best where it is largest, on validation.
    """

    def runs_of(
        trials: Sequence[tuple[Setting, float]], seeds: Sequence[int]
    ) -> Iterator[tuple[Setting, float, Run]]:
        with blaming_settings():
            configs = [config_of(*trial) for trial in trials]
            trial_of = _by_name(configs, trials)
        for run in finish(configs, seeds):
            yield *trial_of[run.config["name"]], run

    tried: dict[Setting, list[tuple[float, float]]] = defaultdict(list)
    every = [(setting, rho) for setting, rhos in grids.items() for rho in rhos]
    for setting, rho, run in runs_of(every, seeds[:1]):
        tried[setting].append((rho, score(run)))
        yield setting, run
    chosen = [(setting, choose(tried[setting]).rho) for setting in grids]
    for setting, _, run in runs_of(chosen, seeds[1:]):
        yield setting, run


def _by_name(
    configs: Sequence[Config], trials: Sequence[tuple[Setting, float]]
) -> dict[str, tuple[Setting, float]]:
    names = [config.name for config in configs]
    if len(set(names)) < len(names):
        raise ValueError(
            f"two runs would have one name: choose settings further apart; got {names}"
        )
    return dict(zip(names, trials, strict=True))
