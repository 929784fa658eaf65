"""How the cost of a sharpness-aware step grows with parameters and batch."""

from typing import Any

from experiments.benchmarks.methods import LIKE_FOR_LIKE, jax_methods
from experiments.benchmarks.problems import Problem, mlp_problem
from experiments.benchmarks.steps import compile_step, num_parameters, rows
from experiments.benchmarks.timing import comparisons, interleave

METHODS = (
    "SGD",
    "SAM, asam_jax",
    "ASAM, asam_jax",
    "SAM, optax opaque",
    "ASAM, by hand",
)
WIDTHS = (64, 256, 1024, 2048)
BATCH_SIZES = (8, 32, 128, 512)


def points() -> list[tuple[str, int, Problem]]:
    """Returns what is measured: the axis that varies, the batch size and the MLP."""
    return [
        *(("parameters", 128, mlp_problem((width, width), 128)) for width in WIDTHS),
        *(("batch", size, mlp_problem(batch_size=size)) for size in BATCH_SIZES),
    ]


def measure(problem: Problem, seconds: float) -> dict[str, Any]:
    """Times the steps of one MLP; returns a record for JSON."""
    methods = jax_methods()
    programs = {name: compile_step(problem, methods[name]) for name in METHODS}
    times = interleave({k: program.run for k, program in programs.items()}, seconds)
    facts = {name: program.facts for name, program in programs.items()}
    return {
        "num_parameters": num_parameters(problem),
        "methods": rows(times, facts, dict.fromkeys(METHODS, "SGD")),
        "against_peers": comparisons(times, LIKE_FOR_LIKE),
    }
