"""How long a step of each method takes: the small CIFAR preset's, taken in turn.

Blocks of ten steps, whole periods of every 2, 5 and 10, are timed in turn. The images
are made up: the time does not depend on them.
"""

import dataclasses
import pathlib
from collections.abc import Mapping

import jax
import numpy as np

from experiments.benchmarks.loop import made_up_splits
from experiments.benchmarks.timing import Run, interleave
from experiments.frontier.cifar10 import NOISE_RATE
from experiments.frontier.methods import METHODS
from experiments.frontier.report import write_report
from experiments.provenance import provenance, write_json
from experiments.small_cifar10 import SmallStudy
from experiments.training.gradient import climbs
from experiments.training.image_task import task_of_splits
from experiments.training.loop import initial_state, train_step_of

BLOCK = 10
SIDE = 16


@dataclasses.dataclass(frozen=True)
class Times:
    """How long to measure."""

    out: pathlib.Path = pathlib.Path("runs/frontier")
    """Folder of frontier-times.json."""
    seconds: float = 150.0
    """Time for all methods, compilation not counted."""


def main(options: Times) -> None:
    """Measures, and writes the times and the report."""
    record = provenance()
    blocks = {
        name: block_of(name) for name in METHODS if name not in ("sgd-2x", "asam-late")
    }
    blocks_of = interleave(blocks, options.seconds)
    seconds = {name: times / BLOCK for name, times in blocks_of.items()}
    record |= {
        "options": dataclasses.asdict(options) | {"out": str(options.out)},
        "seconds_a_step": {name: float(np.median(x)) for name, x in seconds.items()},
        "ratio_to_sgd": ratios(seconds),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "frontier-times.json", record)
    write_report(options.out)


def block_of(name: str) -> Run:
    """Returns a function that takes blocks of ten steps, compiled by the first."""
    config = SmallStudy().config(name, METHODS[name].ascent(1.0), NOISE_RATE, epochs=32)
    task = task_of_splits(config, made_up_splits(SIDE), seed=0)
    climbing_step, plain_step = (
        jax.jit(train_step_of(task, seed=0, climb=climb), donate_argnums=0)
        for climb in (True, False)
    )
    state = initial_state(task, seed=0)()
    batch = next(task.inputs(0))
    due = [climbs(task.ascent, BLOCK, step) for step in range(BLOCK)]

    def run(num_blocks: int) -> None:
        nonlocal state
        for climb in num_blocks * due:
            state = (climbing_step if climb else plain_step)(state, batch)
        jax.block_until_ready(state)

    return run


def ratios(seconds: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Returns the time of a run of each method in that of SGD's, with its quartiles.

    Of twice the epochs and of a late start they follow from the steps of SGD and ASAM.
    """
    ratio = {name: values / seconds["sgd"] for name, values in seconds.items()}
    start = METHODS["asam-late"].ascent(1.0).start
    ratio["sgd-2x"] = METHODS["sgd-2x"].duration * ratio["sgd"]
    ratio["asam-late"] = start * ratio["sgd"] + (1 - start) * ratio["asam"]
    names = ("lower_quartile", "median", "upper_quartile")
    return {
        name: dict(
            zip(
                names, np.quantile(ratio[name], [0.25, 0.5, 0.75]).tolist(), strict=True
            )
        )
        for name in METHODS
    }
