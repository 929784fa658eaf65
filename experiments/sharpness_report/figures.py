"""The figures of the page."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

COLOURS = {"plain": "#0072B2", "adaptive": "#D55E00"}  # SAM's ball and ASAM's
OPERATORS = {"plain": "$H$", "adaptive": "$T_w H T_w$"}


def draw_sharpness(cases: list[Mapping[str, Any]]) -> Figure:
    """Draws the worst case beside the first-order point, for each ball."""
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(cases))[::-1]
    colours = [COLOURS[case["ball"]] for case in cases]
    for offset, measure, alpha in ((0.2, "one_step", 0.45), (-0.2, "worst_case", 1.0)):
        values = [case[measure] for case in cases]
        bars = axes.barh(rows + offset, values, height=0.36, color=colours, alpha=alpha)
        labels = [f"{measure.replace('_', ' ')} {value:.3g}" for value in values]
        axes.bar_label(bars, labels, padding=3, fontsize=8)
    axes.set_yticks(
        rows, [f"{c['ball']}, p = {c['p']}, rho = {c['rho']:.2g}" for c in cases]
    )
    axes.axvline(0, color="#888888", linewidth=0.8)
    axes.margins(x=0.3)
    axes.set_xlabel("rise of the training loss, L(w + eps) - L(w)")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_densities(densities: Mapping[str, Mapping[str, list[float]]]) -> Figure:
    """Draws the points of each spectrum, as high as their share of it."""
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    for axes, (ball, density) in zip(
        figure.subplots(1, 2, sharey=True), densities.items(), strict=True
    ):
        nodes, weights = np.array(density["nodes"]), np.array(density["weights"])
        seen = weights > 0
        axes.vlines(nodes[seen], 1e-9, weights[seen], color=COLOURS[ball], linewidth=1)
        axes.plot(nodes[seen], weights[seen], "o", color=COLOURS[ball], markersize=3)
        axes.set(
            yscale="log", ylim=(1e-9, 2), xlabel=f"eigenvalue of {OPERATORS[ball]}"
        )
        axes.set_title(ball, fontsize=10)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("share of the spectrum")
    return figure


def draw_landscape(landscape: Mapping[str, list]) -> Figure:
    """Draws the plane of losses as contours, and its middle lines."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    plane, line = figure.subplots(1, 2)
    offsets, losses = np.array(landscape["offsets"]), np.array(landscape["losses"])
    losses = np.where(np.isfinite(losses), losses, np.nan)
    shown = np.log10(np.maximum(losses, 1e-12))
    contours = plane.contourf(offsets, offsets, shown, levels=20, cmap="cividis")
    figure.colorbar(contours, ax=plane, label="log10 loss")
    plane.plot(0, 0, "w+", markersize=10)
    plane.set(xlabel="direction 1", ylabel="direction 2", aspect="equal")
    middle = len(offsets) // 2
    line.plot(offsets, losses[middle], color="#222222", label="direction 1")
    line.plot(offsets, losses[:, middle], color="#8c8c8c", label="direction 2")
    line.set(xlabel="offset", ylabel="loss", yscale="log")
    line.grid(alpha=0.3)
    line.legend(frameon=False)
    return figure
