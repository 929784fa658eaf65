"""Tables and figures from run folders, beside the paper's figures.

    python -m experiments.tables runs --out runs/tables

Each cell is the test accuracy in %: mean ± standard error over (number of) seeds in
the last epoch, and the mean of each run's maximum over epochs, which is what the paper
reports. Unfinished runs, and runs of no cell, are left out and named.
"""

import dataclasses
import json
import pathlib
import sys
from collections import defaultdict

import matplotlib.figure
import tyro
from tyro.conf import Positional

from experiments import palette
from experiments.markdown import markdown_table
from experiments.paper import PAPER
from experiments.presets import CIFAR, IMAGENET, METHODS
from experiments.runs import Run, find_runs
from experiments.statistics import mean_of

COLOURS = {"sgd": palette.SGD, "sam": palette.SAM, "asam": palette.ASAM}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to tabulate."""

    runs: Positional[tuple[pathlib.Path, ...]]
    """Run folders, or folders that hold some."""
    out: pathlib.Path | None = None
    """Write tables.md and tables.png into this folder, too."""


def group_by_name(runs: list[Run]) -> dict[str, list[Run]]:
    """Groups the runs of a config, which differ by their seed alone.

    Raises:
        ValueError: If runs of one name have different configs or the same seed.
    """
    groups = defaultdict(list)
    for run in runs:
        groups[run.config["name"]].append(run)
    for name, members in groups.items():
        configs = {json.dumps({**run.config, "seed": None}) for run in members}
        seeds = {run.config["seed"] for run in members}
        if len(configs) > 1 or len(seeds) < len(members):
            clash = "different configs" if len(configs) > 1 else "the same seed"
            folders = ", ".join(str(run.path) for run in members)
            raise ValueError(
                f"runs of {name} have {clash}; make their tables one by one: {folders}"
            )
    return dict(groups)


def _has_cell(run: Run) -> bool:
    return run.config["name"] in CIFAR | IMAGENET


def cell(runs: list[Run]) -> str:
    """Returns the accuracy of a config's finished runs."""
    if not runs:
        return "not run"
    accuracies = [run.series("test", "accuracy") for run in runs]
    last = mean_of([series[-1] for series in accuracies])
    best = mean_of([max(series) for series in accuracies])
    return f"{last.percent()} ({last.num}); max {best.percent()}"


def table(groups: dict[str, list[Run]]) -> str:
    """Returns a markdown table, a row a net and a column a method."""
    first, *others = METHODS
    rows = []
    for row in sorted({name.rpartition("-")[0] for name in groups}):
        names = [f"{row}-{method}" for method in METHODS]
        ours = [cell(groups.get(name, [])) for name in names]
        paper = [str(PAPER.get(name, "")) for name in names]
        rows.append([row, *ours, *paper])
    header = ["", *METHODS, f"paper: {first}", *others]
    return markdown_table(header, rows) + "\n"


def draw(groups: dict[str, list[Run]], path: pathlib.Path) -> None:
    """Draws test accuracy against epochs, relative to each run's length."""
    rows = sorted({name.rpartition("-")[0] for name in groups})
    figure = matplotlib.figure.Figure(
        figsize=(4 * len(rows), 3.2), layout="constrained"
    )
    for axes, row in zip(
        figure.subplots(1, len(rows), squeeze=False)[0], rows, strict=True
    ):
        for method in METHODS:
            for i, run in enumerate(groups.get(f"{row}-{method}", [])):
                accuracy = run.series("test", "accuracy")
                share = [(k + 1) / len(accuracy) for k in range(len(accuracy))]
                label = f"{method}, {run.config['epochs']} epochs" if i == 0 else None
                axes.plot(
                    share, accuracy, color=COLOURS[method], label=label, linewidth=1
                )
        axes.set(title=row, xlabel="share of the epochs", ylabel="test accuracy")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main(options: Options) -> None:
    """Prints the table and writes the files."""
    try:
        runs = find_runs(options.runs)
        shown = [run for run in runs if run.is_finished and _has_cell(run)]
        groups = group_by_name(shown)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    text = table(groups)
    print(text)
    for run in runs:
        if run not in shown:
            why = "no cell of a table" if run.is_finished else "unfinished"
            print(f"left out, {why}: {run.path}", file=sys.stderr)
    if options.out is not None and groups:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "tables.md").write_text(text)
        draw(groups, options.out / "tables.png")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
