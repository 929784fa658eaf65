"""The tables of the frontier, how to read them and what they say."""

import json
import pathlib
from collections.abc import Mapping, Sequence

from experiments.frontier.figure import draw
from experiments.frontier.methods import METHODS
from experiments.frontier.results import Study, read_study
from experiments.markdown import markdown_table
from experiments.statistics import Mean, mean_of, verdict

Ratios = Mapping[str, Mapping[str, float]]
"""Method to the quartiles of its time in that of SGD."""
PARTS = ("digits", "cifar10")
COMPARISONS = (
    *(("asam", other) for other in ("sgd", "sgd-2x", "sam")),
    *(("asam-momentum", other) for other in ("asam", "msam", "asam-stale")),
    *(("asam-random", other) for other in ("sgd", "asam-momentum", "msam", "asam")),
)
HEADER = (
    "method",
    "gradients",
    "time",
    "rho",
    "seeds",
    "test, last epoch",
    "above ASAM",
    "test, maximum",
    "on train labels as given",
)
CAPTION = """\
Accuracy in %, mean ± standard error over seeds, with 40 % label noise in training and
validation and none in the test. Gradients: of whole batches, in a run, for each step of
SGD. Time: of a run on the CIFAR-10 images, in that of SGD. rho: chosen by validation
from as many values for each method; (edge) marks the end of its grid, beyond which a
better one may lie. Above ASAM: the difference, taken seed by seed. The maximum over
epochs is chosen with the test labels. On train labels: while training, hence at the
perturbed weights where there is no clean pass. **Bold**: no method that costs as much
or less has a higher mean. Level: within three standard errors."""


def write_report(out: pathlib.Path) -> None:
    """Writes frontier.md and frontier.png of the studies that are in a folder."""
    studies = read_studies(out)
    (out / "frontier.md").write_text(markdown(studies, read_ratios(out)))
    draw(studies, out / "frontier.png")


def read_studies(folder: pathlib.Path) -> list[Study]:
    """Reads the studies that are in a folder."""
    return [
        read_study(path)
        for part in PARTS
        if (path := folder / f"frontier-{part}.json").exists()
    ]


def read_ratios(folder: pathlib.Path) -> Ratios:
    """Reads the times from a folder, none if they are not there."""
    path = folder / "frontier-times.json"
    return json.loads(path.read_text())["ratio_to_sgd"] if path.exists() else {}


def markdown(studies: Sequence[Study], ratios: Ratios) -> str:
    """Returns the tables and readings of all studies."""
    sections = [f"{study.title}:\n\n{table(study, ratios)}" for study in studies]
    readings = [*map(reading, studies), recommendation(studies)]
    return "\n\n".join([*sections, CAPTION, *filter(None, readings)]) + "\n"


def table(study: Study, ratios: Ratios) -> str:
    """Returns a Markdown table, the cheapest method first."""
    names = sorted(study.costs, key=lambda name: study.costs[name])
    efficient = study.frontier()
    rows = [_row(study, name, ratios, name in efficient) for name in names]
    return markdown_table(HEADER, rows)


def _row(
    study: Study, name: str, ratios: Ratios, is_efficient: bool
) -> tuple[str, ...]:
    label, choice = METHODS[name].label, study.choice(name)
    cost = f"{study.costs[name]:.2f}"
    time = f"{ratios[name]['median']:.2f}" if name in ratios else "not measured"
    if choice is None:
        return (label, cost, time, "", "0", "not run", "", "", "")
    runs = study.chosen(name)
    gap = study.difference(name, "asam")
    return (
        f"**{label}**" if is_efficient else label,
        cost,
        time,
        choice.text(),
        f"{len(runs)}",
        mean_of([run.test for run in runs]).percent(),
        gap.percent() if gap and name != "asam" else "",
        mean_of([run.test_maximum for run in runs]).percent(),
        mean_of([run.train for run in runs]).percent(),
    )


def reading(study: Study) -> str:
    """Says how ASAM, the momentum and the random direction compare with others."""
    sentences = [_verdict(study, name, other) for name, other in COMPARISONS]
    return f"{study.title}: {'; '.join(filter(None, sentences))}."


def recommendation(studies: Sequence[Study]) -> str:
    """Names the cheapest method that is not below ASAM on any data set.

    Of several as cheap it is the one whose worst difference to ASAM is the best. There
    is none before every study has found such a difference over several seeds.
    """
    gaps: dict[str, list[Mean]] = {}
    for name in METHODS:
        found = [study.difference(name, "asam") for study in studies]
        known = [gap for gap in found if gap is not None and gap.num > 1]
        if len(known) == len(studies) and "below" not in map(verdict, known):
            gaps[name] = known
    if not gaps or not studies:
        return ""
    costs = {name: max(study.costs[name] for study in studies) for name in gaps}
    best = min(gaps, key=lambda name: (costs[name], -min(gaps[name]).mean))
    sizes = " and ".join(gap.percent() for gap in gaps[best])
    return (
        "The cheapest method that no data set puts below ASAM, and of several as cheap "
        "the one that comes off best where it comes off worst, is "
        f"{METHODS[best].label}: {costs[best]:.2f} gradients, {sizes} points above."
    )


def _verdict(study: Study, name: str, other: str) -> str:
    gap = study.difference(name, other)
    if gap is None:
        return ""
    sides = f"{METHODS[name].label} {{}} {METHODS[other].label}"
    if gap.num == 1:
        return f"{sides.format('against')}: {gap.points()}, one seed"
    return f"{sides.format(f'is {verdict(gap)}')} ({gap.points()})"
