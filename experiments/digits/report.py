"""The table and what may be read from it."""

from collections.abc import Mapping, Sequence

from experiments.digits.config import Config
from experiments.digits.invariance import Climb
from experiments.digits.results import Result
from experiments.markdown import aligned_table
from experiments.statistics import mean_of, verdict
from experiments.tuning import EDGE_NOTE


def markdown(
    config: Config, results: Sequence[Result], curves: Mapping[str, Climb]
) -> str:
    """Returns the table, how to read it and what it says, as Markdown.

    Args:
        config: The settings.
        results: In the order of the rows.
        curves: The climbs from a net and its twin, by ball.
    """
    caption = (
        f"Accuracy in %, mean ± standard error over {config.num_seeds} seeds. rho is "
        f"the best of {len(config.sam_rhos)} for SAM and for ASAM, chosen with "
        "validation labels as noisy as the training labels. The maximum over epochs "
        "is chosen with the test labels. Level: the difference, taken seed by seed, is "
        "within three standard errors of 0."
    )
    if any(result.choice.is_at_edge for result in results):
        caption += f" {EDGE_NOTE}"
    return (
        "\n\n".join([table(results), caption, reading(results), _shifts(curves)]) + "\n"
    )


def table(results: Sequence[Result]) -> str:
    """Returns a Markdown table, a row for each method at each noise rate.

    Args:
        results: In the order of the rows.
    """
    header = [
        "wrong labels",
        "method",
        "gradients per image",
        "rho",
        "fit to train labels, %",
        "**test, last epoch, %**",
        "test, maximum, %",
    ]
    return aligned_table(header, map(_row, results))


def _row(result: Result) -> list[str]:
    method = result.method
    return [
        f"{100 * result.noise_rate:g} %",
        method.name,
        f"{method.epochs * method.gradients_per_step}",
        result.choice.text() if len(method.rhos) > 1 else "none",
        mean_of(result.train[-1, result.chosen]).percent(),
        mean_of(result.last).percent(),
        mean_of(result.maximum).percent(),
    ]


def reading(results: Sequence[Result]) -> str:
    """Says in a sentence for each noise rate how ASAM compares, last epoch.

    Methods share their seeds (noise, split, initial weights, order of the data), so
    the differences are taken seed by seed.
    """
    by_rate: dict[float, dict[str, Result]] = {}
    for result in results:
        by_rate.setdefault(result.noise_rate, {})[result.method.name] = result
    sentences = []
    for rate, by_method in by_rate.items():
        asam = by_method.pop("ASAM")
        verdicts = [_verdict(asam, other) for other in by_method.values()]
        sentences.append(
            f"With {100 * rate:g} % wrong labels ASAM reaches "
            f"{mean_of(asam.last).percent()} %: {'; '.join(verdicts)}."
        )
    return " ".join(sentences)


def _verdict(result: Result, other: Result) -> str:
    gap = mean_of(result.last - other.last)
    name = other.method.name
    if gap.num == 1:
        return f"{gap.points()} from {name}, for one seed"
    return f"{verdict(gap)} {name} ({gap.points()})"


def _shifts(curves: Mapping[str, Climb]) -> str:
    shifts = [
        f"{_percent(climb.largest_shift)} in the ball of {name}"
        for name, climb in curves.items()
    ]
    return (
        "Between a trained net and its rescaled twin, which computes the same "
        f"function, L(w + eps) differs by up to {_enumeration(shifts)}."
    )


def _percent(share: float) -> str:
    percent = 100 * share
    if percent < 0.001:
        return "less than 0.001 %"
    return f"{percent:.3f} %" if percent < 1 else f"{percent:.0f} %"


def _enumeration(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1]
