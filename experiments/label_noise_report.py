"""The table, figure and JSON of the label-noise study."""

import pathlib
from typing import Any

import matplotlib.figure

from experiments import palette
from experiments.provenance import write_json
from experiments.runs import Run
from experiments.statistics import mean_of
from experiments.study import best_rho, result_of

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


def method_of(run: Run) -> str:
    """Returns sgd, sgd-2x, sam or asam, from a name like `noise40-sam-rho0.2`."""
    return run.config["name"].partition("-")[2].partition("-rho")[0]


def write_report(
    out: pathlib.Path, record: dict[str, Any], study: dict[str, Any], runs: list[Run]
) -> None:
    """Writes label_noise.json, .md and .png of the runs that are finished."""
    out.mkdir(parents=True, exist_ok=True)
    results = sorted(
        map(_result, runs), key=lambda result: list(map(str, result.values()))
    )
    write_json(out / "label_noise.json", {**record, "study": study, "runs": results})
    (out / "label_noise.md").write_text(_tables(results, study["seeds"][0]))
    _draw(results, study["seeds"][0], out / "label_noise.png")


def _result(run: Run) -> dict[str, Any]:
    return {
        "noise_rate": run.config["data"]["noise_rate"],
        "method": method_of(run),
        **result_of(run),
    }


def _select(results, **wanted):
    return [r for r in results if all(r[name] == x for name, x in wanted.items())]


def _chosen(results, noise_rate, method, first_seed):
    """The runs of the rho that the first seed chooses."""
    tried = _select(results, noise_rate=noise_rate, method=method)
    first = _select(tried, seed=first_seed)
    if not first:
        return []
    rho = best_rho((run["last_validation_accuracy"], run["rho"]) for run in first)
    return _select(tried, rho=rho)


def _tables(results, first_seed) -> str:
    lines = []
    for noise_rate in sorted({result["noise_rate"] for result in results}):
        lines += [
            f"Label noise {noise_rate:.0%}, test accuracy in % on clean labels:",
            "",
            "| | rho | seeds | last epoch | maximum | on noisy train labels |",
            "|---|---|---|---|---|---|",
        ]
        for method, label in LABELS.items():
            runs = _chosen(results, noise_rate, method, first_seed)
            if not runs:
                lines.append(f"| {label} | | 0 | not run | | |")
                continue
            cells = [
                mean_of([run[name] for run in runs]).percent()
                for name in (
                    "last_test_accuracy",
                    "max_test_accuracy",
                    "last_train_accuracy",
                )
            ]
            rho = f"{runs[0]['rho']:g}" if runs[0]["rho"] else "-"
            lines.append(f"| {label} | {rho} | {len(runs)} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


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
