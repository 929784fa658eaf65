"""The three pictures of the demo."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from experiments import palette
from experiments.digits.invariance import Climb
from experiments.digits.results import Result
from experiments.statistics import mean_of

COLORS = {
    "SGD, equal steps": palette.SGD,
    "SGD, equal compute": palette.SGD_LONGER,
    "SAM": palette.SAM,
    "ASAM": palette.ASAM,
}


def accuracy_against_rho(results: Sequence[Result], path: Path) -> None:
    """Draws clean test accuracy over rho, one panel a noise rate, and saves it."""
    figure, panels = _panels(results)
    for rate, axes in panels.items():
        for result in _at(results, rate):
            _draw_rhos(axes, result)
        axes.set(xscale="log", xlabel=r"radius $\rho$ (log scale)")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    _finish(
        figure,
        panels,
        results,
        "last epoch; ring: the rho that validation chooses",
        path,
    )


def _draw_rhos(axes: Axes, result: Result) -> None:
    name, rhos = result.method.name, result.method.rhos
    mean, error = _percent(result.test[-1])
    color = COLORS[name]
    if len(rhos) == 1:
        (low,), (high,) = mean - error, mean + error
        axes.axhline(mean[0], color=color, linestyle="--", linewidth=1.2, label=name)
        axes.axhspan(low, high, color=color, alpha=0.2, linewidth=0)
        return
    axes.errorbar(rhos, mean, error, color=color, marker="o", markersize=4, label=name)
    axes.plot(
        result.choice.rho,
        mean[result.chosen],
        color=color,
        marker="o",
        markersize=12,
        fillstyle="none",
    )


def learning_curves(results: Sequence[Result], path: Path) -> None:
    """Draws clean test accuracy over the cost of training, and saves it."""
    figure, panels = _panels(results)
    for rate, axes in panels.items():
        for result in _at(results, rate):
            method = result.method
            cost = method.gradients_per_step * np.arange(1, method.epochs + 1)
            curves = result.test[:, result.chosen]
            mean, error = _percent(curves)
            color = COLORS[method.name]
            axes.plot(cost, mean, color=color, label=method.name)
            axes.fill_between(
                cost, mean - error, mean + error, color=color, alpha=0.2, linewidth=0
            )
        axes.set(xlabel="gradients per training image")
    _finish(figure, panels, results, "at the chosen rho; band: ± standard error", path)


def invariance(climbs: Mapping[str, Climb], path: Path) -> None:
    """Draws L(w + eps) over rho from the net and from its twin, a panel a ball."""
    operators = {
        "SAM": "$T = 1$",
        "ASAM in theory": "$T = |w|$",
        "ASAM as trained": r"$T = |w| + \eta$, but 1 for biases",
    }
    figure = Figure(figsize=(9, 3.6), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(climbs), sharey=True)
    for axes, (name, climb) in zip(panels, climbs.items(), strict=True):
        color = COLORS[name.split()[0]]
        axes.plot(climb.rhos, climb.net, color=color, linewidth=4, alpha=0.4)
        axes.plot(climb.rhos, climb.twin, color="black", linestyle="--", linewidth=1.3)
        title = f"{name}\n{operators[name]}"
        axes.set(title=title, xlabel=r"radius $\rho$", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        _tidy(axes)
    panels[0].legend(["net", "rescaled twin"], frameon=False)
    panels[0].set_ylabel(r"training loss at $w + \epsilon$ (log scale)")
    figure.savefig(path)


def _panels(results: Sequence[Result]) -> tuple[Figure, dict[float, Axes]]:
    rates = list(dict.fromkeys(result.noise_rate for result in results))
    figure = Figure(figsize=(9, 3.8), dpi=150, layout="constrained")
    (panels,) = figure.subplots(1, len(rates), squeeze=False)
    return figure, dict(zip(rates, panels, strict=True))


def _at(results: Sequence[Result], rate: float) -> list[Result]:
    return [result for result in results if result.noise_rate == rate]


def _percent(accuracies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error in % of accuracies [..., seed]; the error of one is 0."""
    means = [mean_of(seeds) for seeds in accuracies]
    percent = 100 * np.array([(mean.mean, mean.standard_error) for mean in means])
    return percent[:, 0], np.nan_to_num(percent[:, 1])


def _finish(
    figure: Figure,
    panels: Mapping[float, Axes],
    results: Sequence[Result],
    subtitle: str,
    path: Path,
) -> None:
    for rate, axes in panels.items():
        # Runs that err more than three times as often as SGD fall below the panel,
        # where they would squeeze all others into a line.
        sgd, *_ = _at(results, rate)
        sgd_error = 100 * (1 - mean_of(sgd.last).mean)
        axes.set_ylim(bottom=max(0, 100 - 3 * max(sgd_error, 1)), top=100)
        axes.set_title(f"{100 * rate:g} % wrong training labels")
        axes.set_ylabel("clean test accuracy (%)")
        _tidy(axes)
    handles, labels = next(iter(panels.values())).get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        title=subtitle,
        loc="outside lower center",
        ncols=len(labels),
        frameon=False,
    )
    figure.savefig(path)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
