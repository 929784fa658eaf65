"""What a sharpness-aware step costs, beside Optax's and PyTorch's.

    python -m experiments.benchmarks --out runs/benchmark

Times SGD, SAM and ASAM on the same nets and batches, all methods of a net in turn, and
the ascent alone against the speed of memory. Writes benchmark.json, .md and .png. The
rows of PyTorch need the extra `bench-torch`; without it they say so.
"""

import dataclasses
import importlib.metadata
import os
import pathlib
from typing import Any

import tyro
from tqdm import tqdm

from experiments.benchmarks import ascent, convolution, figures, growth, report
from experiments.benchmarks.methods import LIKE_FOR_LIKE, jax_methods
from experiments.benchmarks.problems import PROBLEMS
from experiments.benchmarks.steps import Program, compile_step, num_parameters, rows
from experiments.benchmarks.timing import comparisons, interleave
from experiments.provenance import provenance, write_results

# PyTorch's idle threads would spin while XLA is timed; read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
try:
    from experiments.benchmarks import torch_peer
except ImportError:
    torch_peer = None

TORCH_ROWS = ("SGD, PyTorch", "ASAM, pytorch_optimizer")


@dataclasses.dataclass(frozen=True)
class Options:
    """How long to measure."""

    out: pathlib.Path = pathlib.Path("runs/benchmark")
    """Folder of benchmark.json, benchmark.md and benchmark.png."""
    net_seconds: float = 40.0
    """Time for each net, compilation not counted."""
    ascent_seconds: float = 8.0
    """Time for each size of the ascent alone."""
    layer_seconds: float = 10.0
    """Time for convolution and BatchNorm, written in several ways."""
    growth_seconds: float = 5.0
    """Time for each MLP of the growth with parameters and batch."""
    sizes: tuple[int, ...] = (10**4, 10**5, 10**6, 10**7, 10**8)
    """Parameters of the ascent alone, multiples of 1000. 10^8 take 5 GB."""


def main(options: Options) -> None:
    """Measures, writes and prints."""
    record: dict[str, Any] = provenance()
    record["options"] = dataclasses.asdict(options) | {"out": str(options.out)}
    record["versions"] |= _torch_versions()
    points = growth.points()
    total = len(PROBLEMS) + len(options.sizes) + 1 + len(points)
    with tqdm(total=total, unit=" rows", disable=None) as bar:
        record["ascent"] = {
            size: _with_bar(bar, f"{size:.0e} parameters", _ascent, size, options)
            for size in options.sizes
        }
        record["nets"] = {
            name: _with_bar(bar, name, _net, name, options) for name in PROBLEMS
        }
        layers = None if torch_peer is None else torch_peer.layer_runs
        record["layers"] = _with_bar(
            bar, "layers", convolution.measure, options.layer_seconds, layers
        )
        record["growth"] = [
            {"axis": axis, "batch_size": batch_size}
            | _with_bar(bar, axis, growth.measure, problem, options.growth_seconds)
            for axis, batch_size, problem in points
        ]
    text = report.markdown(record)
    write_results(options.out, "benchmark", record, text)
    figures.draw(record, options.out / "benchmark.png")
    print(text)


def _with_bar(bar: tqdm, description: str, measure, *arguments) -> dict[str, Any]:
    bar.set_description(description)
    measured = measure(*arguments)
    bar.update()
    return measured


def _ascent(size: int, options: Options) -> dict[str, Any]:
    run = None if torch_peer is None else torch_peer.ascent_run
    measured = ascent.measure(size, options.ascent_seconds, run)
    if torch_peer is None:
        measured["methods"]["ASAM, pytorch_optimizer"] = None
    return measured


def _net(name: str, options: Options) -> dict[str, Any]:
    problem = PROBLEMS[name]()
    programs: dict[str, Program] = {
        method_name: compile_step(problem, method)
        for method_name, method in jax_methods().items()
    }
    references = dict.fromkeys(programs, "SGD")
    if torch_peer is not None:
        programs |= torch_peer.programs(name, problem)
        references |= dict.fromkeys(TORCH_ROWS, "SGD, PyTorch")
    runs = {key: program.run for key, program in programs.items()}
    times = interleave(runs, options.net_seconds)
    facts = {key: program.facts for key, program in programs.items()}
    measured: dict[str, Any] = rows(times, facts, references)
    if torch_peer is None:
        measured |= dict.fromkeys(TORCH_ROWS)
    return {
        "num_parameters": num_parameters(problem),
        "rounds": len(times["SGD"]),
        "methods": measured,
        "against_peers": comparisons(times, LIKE_FOR_LIKE),
    }


def _torch_versions() -> dict[str, str]:
    if torch_peer is None:
        return {}
    torch_peer.use_all_cores()
    packages = ("torch", "pytorch_optimizer")
    return {name: importlib.metadata.version(name) for name in packages}


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
