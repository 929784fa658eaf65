"""The table, figure and JSON of the label-noise study."""

import operator
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib.figure

from experiments import palette
from experiments.markdown import markdown_table
from experiments.provenance import write_results
from experiments.run_summary import summary
from experiments.runs import Run
from experiments.statistics import mean_of
from experiments.tuning import EDGE_NOTE, ChosenRuns, chosen_runs

COLOURS = {
    "sgd": palette.SGD,
    "sgd-2x": palette.SGD_LONGER,
    "sam": palette.SAM,
    "asam": palette.ASAM,
}
LABELS = {
    "sgd": "SGD, equal steps",
    "sgd-2x": "SGD, equal compute",
    "sam": "SAM",
    "asam": "ASAM",
}
HEADER = ("", "rho", "seeds", "last epoch", "maximum", "on noisy train labels")


def result_of(method: str, run: Run) -> dict[str, Any]:
    """Returns what the report says of a finished run."""
    noise_rate = run.config["data"]["noise_rate"]
    return {"noise_rate": noise_rate, "method": method, **summary(run)}


def write_report(
    out: pathlib.Path, record: Mapping[str, Any], results: Iterable[dict[str, Any]]
) -> None:
    """Writes label_noise.json, .md and .png of the runs that are finished.

    Args:
        out: The folder.
        record: What the JSON says beside the runs; the first of the seeds of its
            `study` chooses rho.
        results: What `result_of` returns of each run.
    """
    order = operator.itemgetter("noise_rate", "method", "rho", "seed")
    record = {**record, "runs": sorted(results, key=order)}
    write_results(out, "label_noise", record, markdown(record))
    _draw(record["runs"], record["study"]["seeds"][0], out / "label_noise.png")


def _select(results, **wanted):
    return [r for r in results if all(r[name] == x for name, x in wanted.items())]


def markdown(record: Mapping[str, Any]) -> str:
    """Returns the tables of what `write_report` writes as JSON, one a noise rate."""
    results, first_seed = record["runs"], record["study"]["seeds"][0]
    paragraphs, notes = [], []
    for noise_rate in sorted({result["noise_rate"] for result in results}):
        rows = []
        for method, label in LABELS.items():
            runs = _select(results, noise_rate=noise_rate, method=method)
            found = chosen_runs(runs, "last_validation_accuracy", first_seed)
            rows.append([label, *_cells(found)])
            if found and found.choice.is_at_edge:
                notes = [EDGE_NOTE]
        paragraphs += [
            f"Label noise {noise_rate:.0%}, test accuracy in % on clean labels:",
            markdown_table(HEADER, rows),
        ]
    return "\n\n".join([*paragraphs, *notes]) + "\n"


def _cells(found: ChosenRuns | None) -> list[str]:
    if found is None:
        return ["", "0", "not run", "", ""]
    means = [
        mean_of([run[name] for run in found.runs]).percent()
        for name in ("last_test_accuracy", "max_test_accuracy", "last_train_accuracy")
    ]
    return [found.choice.text(), f"{len(found.runs)}", *means]


def _draw(results, first_seed, path: pathlib.Path) -> None:
    rates = sorted({result["noise_rate"] for result in results})
    figure = matplotlib.figure.Figure(figsize=(8, 3.4), layout="constrained")
    panels = figure.subplots(1, len(rates), squeeze=False)[0]
    for axes, noise_rate in zip(panels, rates, strict=True):
        for method in ("sam", "asam"):
            runs = _select(
                results, noise_rate=noise_rate, method=method, seed=first_seed
            )
            points = sorted(
                (run["rho"], 100 * run["last_test_accuracy"]) for run in runs
            )
            if points:
                axes.semilogx(
                    *zip(*points, strict=True),
                    "o-",
                    color=COLOURS[method],
                    label=LABELS[method],
                )
        for method in ("sgd", "sgd-2x"):
            runs = _select(
                results, noise_rate=noise_rate, method=method, seed=first_seed
            )
            for run in runs:
                axes.axhline(
                    100 * run["last_test_accuracy"],
                    color=COLOURS[method],
                    linestyle="--",
                    label=LABELS[method],
                )
        axes.set(
            title=f"{noise_rate:.0%} label noise",
            xlabel="rho",
            ylabel="test accuracy, %",
        )
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)
