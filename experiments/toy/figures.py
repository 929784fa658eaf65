"""The two pictures: trajectories on the landscape, and balls on contours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from experiments import palette
from experiments.toy import balls
from experiments.toy.balls import Ball
from experiments.toy.trajectories import NUM_STEPS, VALLEY, Trajectory, climb

COLORS = {"SAM": palette.SAM, "ASAM": palette.ASAM}
HALO = [withStroke(linewidth=2.5, foreground="white")]


def draw_trajectories(ways: Sequence[Trajectory], path: Path) -> None:
    """Draws SAM's and ASAM's ways on the landscape, a panel each, and saves it."""
    figure = Figure(figsize=(9, 4.2), dpi=150, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, method in zip(panels, ("SAM", "ASAM, eta 0.01"), strict=True):
        _draw_landscape(axes)
        for way in (way for way in ways if way.method == method):
            _draw_way(axes, way)
            name = method.replace("eta", r"$\eta$ =")
            title = rf"{name}: {NUM_STEPS} steps, $\rho$ = {way.rho:g}"
            axes.set_title(title, color=_color(method))
    panels[0].set_ylabel("$w_2$")
    figure.savefig(path)


def _color(method: str) -> str:
    return COLORS[method.partition(",")[0]]


def _draw_landscape(axes: Axes) -> None:
    w1, w2 = np.meshgrid(np.linspace(0, 0.4, 401), np.linspace(0, 0.25, 251))
    height = np.abs(w1 * w2 - VALLEY)
    levels = (0.01, 0.02, 0.03, 0.04)
    lines = axes.contour(w1, w2, height, levels, colors="#aaaaaa", linewidths=0.8)
    below = [(0.37, (VALLEY - level) / 0.37) for level in levels[:-1]]
    above = [((VALLEY + level) / 0.235, 0.235) for level in levels]
    axes.clabel(lines, fontsize=7, fmt="%g", manual=below + above)
    valley = np.linspace(VALLEY / 0.25, 0.4, 200)
    axes.plot(valley, VALLEY / valley, color="black", linewidth=1.2)
    _label(axes, (0.361, 0.112), "loss 0", (0, 4), "black")
    axes.axhspan(-0.03, 0, color="#dddddd")
    axes.text(0.01, -0.015, "no gradient where $w_2 < 0$", va="center", fontsize=9)
    axes.set(xlim=(0, 0.4), ylim=(-0.03, 0.25), xlabel="$w_1$")


def _draw_way(axes: Axes, way: Trajectory) -> None:
    color, start, end = _color(way.method), way.weights[0], way.weights[-1]
    axes.plot(*way.weights.T, "o-", color=color, markersize=2, linewidth=0.5)
    axes.plot(*start, "o", color="white", markeredgecolor=color, markersize=8)
    if way.is_stuck:
        climbed: Any = np.array(climb(way.method, start, way.rho))
        arrow = {"arrowstyle": "-|>", "color": color, "shrinkA": 4, "shrinkB": 0}
        axes.annotate("", climbed, start, arrowprops=arrow)
        _label(axes, climbed, r"$w + \epsilon$", (6, -3), color)
        _label(axes, start, "stuck here", (10, 3), color)
    else:
        axes.plot(*end, "*", color=color, markeredgecolor="black", markersize=12)
        _label(axes, end, f"loss {way.losses[-1]:.4f}", (8, 11), color)


def _label(axes: Axes, point: Any, text: str, offset: Any, color: str) -> None:
    axes.annotate(
        text,
        point,
        offset,
        textcoords="offset points",
        fontsize=9,
        color=color,
        path_effects=HALO,
    )


def draw_balls(shown: Sequence[Ball], path: Path) -> None:
    """Draws the balls and where the loss is largest, a panel a norm, and saves it."""
    figure = Figure(figsize=(9, 7.3), dpi=150, layout="constrained")
    panels = figure.subplots(len(balls.NORMS), sharex=True)
    for axes, p in zip(panels, balls.NORMS, strict=True):
        for ball in (ball for ball in shown if ball.p == p):
            _draw_ball(axes, ball)
        _draw_hyperbola(axes, balls.TARGET, "black", linestyle="-")
        _label(axes, (1.35, 0.2), "loss 0", (0, 0), "black")
        _draw_hyperbola(axes, 1.0, "#777777", linestyle="-")
        _label(
            axes, (1.52, 0.68), f"loss {balls.loss(np.ones(2)):g}", (0, 0), "#555555"
        )
        norm = "2" if p == 2 else r"\infty"
        title = rf"largest loss (star) in balls of radius $\rho$ = {balls.RHO:g}"
        axes.set(title=f"$p = {norm}$: {title}", ylabel="$w_2$", aspect="equal")
        axes.set(xlim=(0, 4.99), ylim=(-0.12, 1.85))
    panels[-1].set_xlabel("$w_1$")
    figure.savefig(path)


def _draw_hyperbola(axes: Axes, product: float, color: str, linestyle: str) -> None:
    """Draws the line w1 w2 = product, on which the loss is the same."""
    w1 = np.linspace(0.01, 5, 500)
    axes.plot(w1, product / w1, color=color, linestyle=linestyle, linewidth=1)


def _draw_ball(axes: Axes, ball: Ball) -> None:
    # Around (1, 1) the methods have the same ball: SAM's wider line shows on both sides
    # of ASAM's, and ASAM, drawn later, names both.
    is_sam = ball.method == "SAM"
    color, worst = _color(ball.method), ball.worst()
    outline = ball.boundary(np.linspace(0, 2 * np.pi, 1025))
    width, opacity = (4.5, 0.45) if is_sam else (1.6, 1)
    axes.plot(*outline.T, color=color, linewidth=width, alpha=opacity)
    axes.plot(*ball.centre, "o", color="black", markersize=5)
    _draw_hyperbola(axes, float(np.prod(worst)), color, linestyle="--")
    axes.plot(*worst, "*", color=color, markeredgecolor="black", markersize=13)
    name = ball.method.partition(",")[0]
    if ball.centre != balls.POINTS[0]:
        _label(axes, worst, f"{name}: {balls.loss(worst):.2f}", (9, 6), color)
    elif not is_sam:
        text = f"SAM and {name}: {balls.loss(worst):.2f}"
        _label(axes, worst, text, (9, 6), "black")
