"""The figure of a run: loss and accuracy against epochs."""

import pathlib
from collections import defaultdict

import matplotlib
import matplotlib.figure

from experiments.training.metrics import read_metrics
from experiments.training.run_folder import naming

COLOURS = {"train": "#555555", "validation": "#E69F00", "test": "#0072B2"}


def draw_curves(metrics: pathlib.Path, path: pathlib.Path) -> None:
    """Draws the lines of `metrics.jsonl`, a panel a metric and a curve a split."""
    curves = defaultdict(lambda: defaultdict(list))
    for line in read_metrics(metrics):
        for name in line.keys() & {"loss", "accuracy"}:
            curves[name][line["split"]].append((line["epoch"], line[name]))
    figure = matplotlib.figure.Figure(figsize=(8, 3), layout="constrained")
    panels = figure.subplots(1, max(1, len(curves)), squeeze=False)[0]
    for axes, (name, splits) in zip(panels, sorted(curves.items()), strict=False):
        for split, points in splits.items():
            axes.plot(
                *zip(*points, strict=True),
                label=split,
                color=COLOURS.get(split),
                linewidth=1,
            )
        axes.set(xlabel="epoch", ylabel=name)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle("/".join(metrics.parent.parts[-2:]))
    with naming(path):
        figure.savefig(path, dpi=120)
