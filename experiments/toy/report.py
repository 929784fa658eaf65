"""The numbers of the toy pictures, as a record and as tables."""

from collections.abc import Sequence
from typing import Any

from experiments.markdown import markdown_table
from experiments.toy import balls, trajectories
from experiments.toy.balls import Ball
from experiments.toy.trajectories import STARTS, Trajectory, smallest_w2

WAY_HEADER = (
    "method",
    "start",
    "end",
    "loss there",
    "largest of the last half",
    "stuck from rho",
)
BALL_HEADER = ("ball", "around", "largest loss", "at", "at w + eps")


def record(ways: Sequence[Trajectory], shown: Sequence[Ball]) -> dict[str, Any]:
    """Returns settings and results for JSON."""
    return {
        "trajectories": {
            "loss": f"|w1 relu(w2) - {trajectories.VALLEY:g}|",
            "rho": trajectories.RHO,
            "learning_rate": trajectories.LEARNING_RATE,
            "num_steps": trajectories.NUM_STEPS,
            "ways": [way.record() for way in ways],
        },
        "asam_eta_0": {
            "rhos": list(trajectories.RHOS),
            "smallest_w2_from_each_start": [
                smallest_w2("ASAM, eta 0", start) for start in STARTS
            ],
        },
        "balls": {
            "loss": f"(w1 w2 - {balls.TARGET:g})^2",
            "balls": [ball.record() for ball in shown],
        },
    }


def markdown(results: dict[str, Any]) -> str:
    """Returns the tables of a record."""
    settings, sweep = results["trajectories"], results["asam_eta_0"]
    smallest = min(map(min, sweep["smallest_w2_from_each_start"]))
    rhos = sweep["rhos"]
    return "\n".join(
        [
            f"Loss {settings['loss']}, rho and learning rate {settings['rho']:g}, "
            f"{settings['num_steps']} steps of SGD without momentum:",
            "",
            markdown_table(WAY_HEADER, map(_way_row, settings["ways"])),
            "",
            f"ASAM with eta 0, rho {rhos[0]:g} to {rhos[-1]:g} ({len(rhos)} values): "
            f"on no way from either start is w2 smaller than {smallest:.4f}.",
            "",
            f"Loss {results['balls']['loss']}, the largest in the ball of radius "
            f"{balls.RHO:g} and where, and the loss at the library's w + eps:",
            "",
            markdown_table(BALL_HEADER, map(_ball_row, results["balls"]["balls"])),
            "",
        ]
    )


def _way_row(way: dict[str, Any]) -> list[str]:
    stuck = way["stuck_from_rho"]
    return [
        way["method"],
        _point(way["start"], 4),
        _point(way["end"], 4),
        f"{way['end_loss']:.4f}",
        f"{way['largest_loss_of_last_half']:.4f}",
        "-" if stuck is None else f"{stuck:.4f}",
    ]


def _ball_row(ball: dict[str, Any]) -> list[str]:
    return [
        f"{ball['method']}, p = {ball['p']}",
        _point(ball["centre"], 3),
        f"{ball['largest_loss']:.6f}",
        _point(ball["worst_point"], 3),
        f"{ball['climbed_loss']:.6f}",
    ]


def _point(point: Sequence[float], digits: int) -> str:
    return f"({', '.join(f'{x:.{digits}f}'.rstrip('0').rstrip('.') for x in point)})"
