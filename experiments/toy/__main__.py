"""The command line: `python -m experiments.toy`."""

import dataclasses
import pathlib

import tyro

from experiments import toy
from experiments.provenance import provenance, write_results
from experiments.toy import figures, report
from experiments.toy.balls import BALLS
from experiments.toy.trajectories import METHODS, STARTS, trajectory


@dataclasses.dataclass(frozen=True)
class Options:
    """Where to write."""

    out: pathlib.Path = pathlib.Path("runs/toy")
    """Folder of toy.json, toy.md, toy_trajectories.png and toy_balls.png."""


def main(options: Options) -> None:
    """Trains, searches the balls, writes and prints."""
    origin = provenance()
    ways = [trajectory(method, start) for method in METHODS for start in STARTS]
    results = report.record(ways, BALLS)
    text = report.markdown(results)
    write_results(options.out, "toy", {**origin, **results}, text)
    figures.draw_trajectories(ways, options.out / "toy_trajectories.png")
    figures.draw_balls(BALLS, options.out / "toy_balls.png")
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=toy.__doc__))
