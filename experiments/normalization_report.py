"""Table, figure and record of the normalization schemes.

    python -m experiments.normalization_report RUNS... --out DIR

Reads the finished runs of `python -m experiments.normalization`, or those of the
presets `cifar10-wrn16_8-elementwise-rho0.5` and the like. rho is chosen by accuracy on
the validation split in the last epoch.
"""

import dataclasses
import operator
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tyro.conf import Positional

from experiments import palette
from experiments.markdown import markdown_table
from experiments.presets import SCHEMES
from experiments.provenance import provenance, write_results
from experiments.run_summary import summary
from experiments.runs import Run, find_runs
from experiments.statistics import Mean, mean_of
from experiments.training.config import Ascent
from experiments.tuning import EDGE_NOTE, Choice, choose

LABELS = {
    "elementwise": "element-wise, p = 2 (ASAM)",
    "elementwise-with-bias": "element-wise with biases, p = 2",
    "elementwise-inf": "element-wise, p = inf",
    "filterwise": "filter-wise, p = 2",
    "layerwise": "layer-wise, p = 2",
}
STYLES = {
    "elementwise": (palette.ASAM, "o"),
    "elementwise-with-bias": ("#CC79A7", "s"),
    "elementwise-inf": ("#E69F00", "^"),
    "filterwise": ("#009E73", "D"),
    "layerwise": ("#56B4E9", "v"),
}
"""Scheme to colour and marker."""
HEADER = (
    "",
    "rho",
    "of",
    "seeds",
    "last epoch",
    "maximum",
    "on train labels as given",
)

Results = Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Options:
    """What to report."""

    runs: Positional[tuple[pathlib.Path, ...]]
    """Run folders, or folders that hold some."""
    out: pathlib.Path
    """Folder of normalization.json, .md and .png."""


def scheme_of(run: Run) -> str:
    """Returns the name in `SCHEMES` of a run's ball, or `sgd` where rho is 0.

    Raises:
        ValueError: If it is none of them.
    """
    ascent = Ascent(**run.config["ascent"])
    if ascent.rho == 0:
        return "sgd"
    for name, scheme in SCHEMES.items():
        if dataclasses.replace(scheme, rho=ascent.rho) == ascent:
            return name
    raise ValueError(f"{run.path} is no run of a normalization scheme: {ascent}")


def write_report(
    out: pathlib.Path, record: Mapping[str, Any], runs: Sequence[Run]
) -> None:
    """Writes normalization.json, .md and .png of finished runs.

    Args:
        out: The folder.
        record: What the JSON says beside the runs.
        runs: Runs that differ by scheme, rho and seed alone.

    Raises:
        ValueError: If there is none, or they differ otherwise.
    """
    _check_alike(runs)
    results = [{"scheme": scheme_of(run), **summary(run)} for run in runs]
    results.sort(key=operator.itemgetter("scheme", "rho", "seed"))
    record = {**record, "runs": results}
    write_results(out, "normalization", record, markdown(record))
    draw(results, out / "normalization.png")


def _check_alike(runs: Sequence[Run]) -> None:
    if not runs:
        raise ValueError("there is no finished run")
    first, *others = runs
    for run in others:
        differing = [
            key
            for key in first.config.keys() - {"name", "seed", "ascent"}
            if first.config[key] != run.config.get(key)
        ]
        if differing:
            raise ValueError(
                f"{first.path} and {run.path} cannot share a figure: they differ in "
                + ", ".join(sorted(differing))
            )


def by_rho(results: Results, scheme: str, metric: str) -> dict[float, Mean]:
    """Returns the mean over seeds of a metric for each rho of a scheme, ascending."""
    tried = [result for result in results if result["scheme"] == scheme]
    rhos = sorted({result["rho"] for result in tried})
    return {
        rho: mean_of([result[metric] for result in tried if result["rho"] == rho])
        for rho in rhos
    }


def choice(results: Results, scheme: str) -> Choice:
    """Returns the rho that validation chooses among those that ran."""
    return choose(
        (result["rho"], result["last_validation_accuracy"])
        for result in results
        if result["scheme"] == scheme
    )


def markdown(record: Mapping[str, Any]) -> str:
    """Returns the table of what `write_report` writes as JSON.

    It has a row for each scheme, at the rho that validation chooses.
    """
    rows = [_row(record["runs"], *row) for row in [("sgd", "SGD"), *LABELS.items()]]
    return (
        "Test accuracy in % on clean labels at the rho that validation chooses. "
        f"{EDGE_NOTE}\n\n{markdown_table(HEADER, rows)}\n"
    )


def _row(results: Results, scheme: str, label: str) -> list[str]:
    test, maximum, train = (
        by_rho(results, scheme, metric)
        for metric in ("last_test_accuracy", "max_test_accuracy", "last_train_accuracy")
    )
    if not test:
        return [label, "", "", "0", "not run", "", ""]
    chosen = choice(results, scheme)
    rho = chosen.rho
    return [
        label,
        chosen.text(),
        ", ".join(f"{x:g}" for x in test) if rho else "-",
        str(test[rho].num),
        *(means[rho].percent() for means in (test, maximum, train)),
    ]


def draw(results: Results, path: pathlib.Path) -> None:
    """Draws test accuracy against rho, a line a scheme, and saves it."""
    figure = Figure(figsize=(9, 4.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    for scheme in LABELS:
        _draw_scheme(axes, results, scheme)
    for mean in by_rho(results, "sgd", "last_test_accuracy").values():
        axes.axhline(
            100 * mean.mean, color=palette.SGD, linestyle="--", label=r"SGD, $\rho$ = 0"
        )
    axes.set(
        xscale="log",
        xlabel=r"radius $\rho$ (log scale); ring: the one that validation chooses",
        ylabel="test accuracy, last epoch (%)",
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path)


def _draw_scheme(axes: Axes, results: Results, scheme: str) -> None:
    test = by_rho(results, scheme, "last_test_accuracy")
    if not test:
        return
    color, marker = STYLES[scheme]
    percent = {rho: 100 * mean.mean for rho, mean in test.items()}
    axes.plot(
        list(percent),
        list(percent.values()),
        color=color,
        marker=marker,
        label=LABELS[scheme],
    )
    rho = choice(results, scheme).rho
    axes.plot(rho, percent[rho], "o", color=color, markersize=13, fillstyle="none")


def main(options: Options) -> None:
    """Reads the runs, writes the report and prints the table."""
    try:
        runs = find_runs(options.runs)
        finished = [run for run in runs if run.is_finished]
        write_report(options.out, provenance(), finished)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    print((options.out / "normalization.md").read_text())
    for run in runs:
        if not run.is_finished:
            print(f"left out, unfinished: {run.path}", file=sys.stderr)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
