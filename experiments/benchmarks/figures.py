"""How cost grows: the ascent with parameters, a step with parameters and batch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import palette

COLOURS = {
    "ASAM, asam_jax": palette.ASAM,
    "SAM, asam_jax": palette.SAM,
    "SAM, optax": palette.SGD_LONGER,
    "SAM, optax opaque": palette.SGD_LONGER,
    "ASAM, by hand": palette.ASAM_BY_HAND,
    "ASAM, pytorch_optimizer": palette.SGD,
}


def draw(record: Mapping[str, Any], path: Path) -> None:
    """Draws three panels and saves them."""
    figure = Figure(figsize=(12, 3.6), dpi=150, layout="constrained")
    panels = ascent, parameters, batch = figure.subplots(1, 3)
    for axes in panels:
        axes.set_xscale("log")
        axes.grid(alpha=0.3)
    _draw_ascent(ascent, record["ascent"])
    _draw_growth(parameters, record["growth"], "parameters", "num_parameters")
    _draw_growth(batch, record["growth"], "batch", "batch_size")
    ascent.set(title="the ascent alone", xlabel="parameters")
    ascent.set_ylabel("time / necessary reads and writes")
    parameters.set(title="MLP, batch 128", xlabel="parameters", ylabel="step / SGD")
    batch.set(title="MLP of 669,706 parameters", xlabel="batch", ylabel="step / SGD")
    for axes in panels:
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def _draw_ascent(axes: Axes, record: Mapping[str, Any]) -> None:
    axes.set_yscale("log")
    axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    for name, colour in COLOURS.items():
        points = {
            int(size): measured["methods"][name]["times_necessary"]
            for size, measured in record.items()
            if measured["methods"].get(name)
        }
        _draw_spreads(axes, points, name, colour)


def _draw_growth(axes: Axes, record: Any, axis: str, key: str) -> None:
    axes.axhline(2, color="black", linewidth=0.8, linestyle=":")
    points = [point for point in record if point["axis"] == axis]
    for name in list(points[0]["methods"])[1:]:
        ratios = {point[key]: point["methods"][name]["ratio"] for point in points}
        _draw_spreads(axes, ratios, name, COLOURS[name])


def _draw_spreads(
    axes: Axes, points: Mapping[int, Mapping[str, float]], label: str, colour: str
) -> None:
    if not points:
        return
    medians = np.array([point["median"] for point in points.values()])
    below = medians - [point["lower"] for point in points.values()]
    above = [point["upper"] for point in points.values()] - medians
    axes.errorbar(
        list(points),
        medians,
        yerr=np.abs([below, above]),
        color=colour,
        label=label,
        marker="o",
        markersize=3,
        linewidth=1,
        capsize=2,
    )
