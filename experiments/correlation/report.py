"""The tables, and what may be read from them."""

from collections.abc import Iterable, Sequence

import numpy as np

from experiments.correlation.analysis import (
    Interval,
    Radius,
    difference,
    mean_tau,
    middle,
)
from experiments.correlation.config import Study
from experiments.correlation.paper import PAPER
from experiments.correlation.results import Results
from experiments.markdown import markdown_table

HYPERPARAMETERS = ("batch size", "learning rate", "weight decay", "dropout")
ROWS = ("tau", *(f"psi {name}" for name in HYPERPARAMETERS), "Psi (mean)")


def markdown(study: Study, results: Results, found: Sequence[Sequence[Radius]]) -> str:
    """Returns the report of a study.

    Args:
        study: The settings.
        results: All models.
        found: What `analysis.radii` returns.
    """
    parts = [
        table([middle(of_measure) for of_measure in found]),
        _caption(study, results),
        reading(study, results),
        granulated_reading([middle(of_measure) for of_measure in found]),
        radii_table([radius for of_measure in found for radius in of_measure]),
        "The first table has the middle radius of each measure. The first-order point "
        "is the paper's perturbation, without ascent.",
    ]
    return "\n\n".join(parts) + "\n"


def table(found: Sequence[Radius]) -> str:
    """Returns the paper's table, ours beside the paper's."""
    names = [radius.measure.name for radius in found]
    header = ["", *names, *(f"paper (unverified): {name}" for name in names)]
    ours = [
        [
            str(correlation.tau),
            *(f"{psi.mean:z.2f} ± {psi.standard_error:.2f}" for psi in correlation.psi),
            f"{correlation.mean_psi:z.2f}",
        ]
        for correlation in (radius.error_gap for radius in found)
    ]
    paper = [[f"{value:.3f}" for value in PAPER[name]] for name in names]
    return markdown_table(header, zip(ROWS, *ours, *paper, strict=True))


def radii_table(found: Iterable[Radius]) -> str:
    """Returns a row for each measure and radius."""
    header = [
        "",
        "rho",
        "median rise of the loss",
        "ascents converged",
        "tau",
        "Psi",
        "tau with the gap in loss",
        "tau of the first-order point",
    ]
    rows = (
        [
            radius.measure.name,
            f"{radius.rho:g}",
            f"{radius.median:.2g}",
            f"{100 * radius.converged:.0f} %",
            str(radius.error_gap.tau),
            f"{radius.error_gap.mean_psi:z.2f}",
            f"{radius.loss_gap:z.2f}",
            f"{radius.first_order:z.2f}",
        ]
        for radius in found
    )
    return markdown_table(header, rows)


def reading(study: Study, results: Results) -> str:
    """Says for each norm whether adaptive sharpness correlates better."""
    worst = results.sharpness.worst[..., len(study.plain_l2_rhos) // 2]
    sentences = []
    for name, plain, adaptive in (("2", 0, 1), ("∞", 2, 3)):
        x, other = worst[..., adaptive], worst[..., plain]
        gain = difference(x, other, results.error_gap, study.resamples)
        sentences.append(
            f"With p = {name}, adaptive sharpness correlates with the gap "
            f"{_verdict(gain)}: tau {mean_tau(x, results.error_gap):z.2f} against "
            f"{mean_tau(other, results.error_gap):z.2f}, a difference of {gain}."
        )
    loss = results.of_reached(results.train_loss)
    sentences.append(
        "A check of the common training loss: its own tau with the gap is "
        f"{mean_tau(loss, results.error_gap):z.2f}."
    )
    return " ".join(sentences)


def granulated_reading(found: Sequence[Radius]) -> str:
    """Says for which hyperparameters a measure tells the gap, and for which not."""
    psis = [radius.error_gap.psi for radius in found]
    rises, falls = [], []
    for name, of_name in zip(HYPERPARAMETERS, zip(*psis, strict=True), strict=True):
        above = sum(psi.mean > 2 * psi.standard_error for psi in of_name)
        below = sum(psi.mean < -2 * psi.standard_error for psi in of_name)
        rises += [f"{name} ({above} of {len(found)} measures)"] if above else []
        falls += [f"{name} ({below} of {len(found)})"] if below else []
    return (
        "Where one hyperparameter alone varies, by two standard errors of psi: the "
        f"sharper model has the larger gap for {', '.join(rises) or 'none'}; the "
        f"smaller gap for {', '.join(falls) or 'none'}."
    )


def _verdict(gain: Interval) -> str:
    if gain.low <= 0 <= gain.high:
        return "neither better nor worse than plain sharpness, within the interval"
    return f"{'better' if gain.value > 0 else 'worse'} than plain sharpness"


def _caption(study: Study, results: Results) -> str:
    gaps = 100 * results.error_gap[results.reached]
    losses = results.train_loss[results.reached]
    low, middle, high = np.percentile(gaps, [0, 50, 100])
    return (
        f"{np.sum(results.reached)} models of {results.reached.size}: every "
        f"combination of {_values(study)}, for {_count(len(study.seeds), 'seed')}. "
        f"Each learned {study.num_train} examples of {study.dataset}, "
        f"{100 * study.noise_rate:g} % of them with wrong labels, until its training "
        f"loss was seen below {study.target_loss:g} ({np.min(losses):.3f} to "
        f"{np.max(losses):.3f}); {np.sum(~results.reached)} did not get there in "
        f"{study.epochs} epochs and are left out. The gap is the error on clean test "
        "labels minus that on the training labels as given: "
        f"{low:.1f} to {high:.1f} points, median {middle:.1f}. tau: Kendall's, the "
        "mean over seeds, with a 95 % bootstrap interval over the points of the grid. "
        "psi: the mean tau of models that differ in one hyperparameter alone, ± "
        "standard error over such sets."
    )


def _count(num: int, noun: str) -> str:
    return f"{num} {noun}" if num == 1 else f"{num} {noun}s"


def _values(study: Study) -> str:
    grid = study.grid
    parts = [
        f"batch size {_list(grid.batch_size)}",
        f"initial learning rate {_list(grid.learning_rate)}",
        f"weight decay {_list(grid.weight_decay)}",
        f"dropout {_list(grid.dropout)}",
    ]
    return "; ".join(parts)


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
