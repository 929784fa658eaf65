"""The gap of every model against each measure of sharpness."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.correlation.analysis import Radius, middle
from experiments.correlation.config import Study
from experiments.correlation.results import Results

COLORS = ("#0072B2", "#E69F00", "#CC3311")  # by dropout rate
MARKERS = ("o", "^", "s")  # by learning rate


def draw(
    study: Study,
    results: Results,
    found: Sequence[Sequence[Radius]],
    path: Path,
) -> None:
    """Draws a panel for each measure at its middle radius, and saves the figure."""
    figure = Figure(figsize=(9, 7.4), dpi=150, layout="constrained")
    panels = figure.subplots(2, 2, sharey=True)
    # The plain measures above, the adaptive ones below, a column a norm.
    for axes, i in zip(panels.T.ravel(), range(len(found)), strict=True):
        radius = middle(found[i])
        j = found[i].index(radius)
        _scatter(axes, study, results.sharpness.worst[..., i, j], results.error_gap)
        axes.set_title(
            f"{radius.measure.name}: tau {radius.error_gap.tau}", fontsize=10
        )
        axes.set_xlabel(rf"rise of the loss in the ball, $\rho$ = {radius.rho:g}")
    for axes in panels[:, 0]:
        axes.set_ylabel("generalization gap (points of error)")
    figure.legend(
        handles=_legend(study),
        loc="outside lower center",
        ncols=6,
        frameon=False,
        fontsize=9,
        handletextpad=0.1,
        columnspacing=1.2,
    )
    figure.savefig(path)


def _scatter(axes: Axes, study: Study, measure: np.ndarray, gap: np.ndarray) -> None:
    for i in range(len(study.grid.learning_rate)):
        for j in range(len(study.grid.dropout)):
            axes.plot(
                measure[:, :, i, :, j].ravel(),
                100 * gap[:, :, i, :, j].ravel(),
                color=COLORS[j % len(COLORS)],
                marker=MARKERS[i % len(MARKERS)],
                linestyle="none",
                markersize=5,
                alpha=0.65,
                markeredgewidth=0,
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def _legend(study: Study) -> list[Line2D]:
    def handle(label: str, color: str, marker: str) -> Line2D:
        return Line2D([], [], color=color, marker=marker, linestyle="", label=label)

    dropouts = [
        handle(f"dropout {rate:g}", COLORS[j % len(COLORS)], "o")
        for j, rate in enumerate(study.grid.dropout)
    ]
    rates = [
        handle(f"learning rate {rate:g}", "#777777", MARKERS[i % len(MARKERS)])
        for i, rate in enumerate(study.grid.learning_rate)
    ]
    return [*dropouts, *rates]
