"""The study from data to files."""

import dataclasses
import time
from pathlib import Path
from typing import Any

from experiments.correlation.analysis import Correlation, Radius, radii
from experiments.correlation.config import Study
from experiments.correlation.figure import draw
from experiments.correlation.models import train_and_measure
from experiments.correlation.report import markdown
from experiments.correlation.results import columns
from experiments.provenance import provenance, write_results
from experiments.settings_error import SettingsError


def run(study: Study, out: Path, data_dir: str) -> None:
    """Trains, measures, correlates, writes and prints.

    Raises:
        FileNotFoundError: If the data set is not prepared.
        SettingsError: If there are fewer data than the study asks for, or no model
            reaches the target.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    record: dict[str, Any] = provenance()
    out.mkdir(parents=True, exist_ok=True)
    results = train_and_measure(study, data_dir)
    if not results.reached.any():
        raise SettingsError(
            f"no model reached a training loss of {study.target_loss:g} in "
            f"{study.epochs} epochs: raise --target-loss or --epochs"
        )
    found = radii(results, study)
    record |= {
        "seconds": {
            "wall": round(time.perf_counter() - wall, 1),
            "cpu": round(time.process_time() - cpu, 1),
        },
        "study": dataclasses.asdict(study),
        "correlations": [_record(r) for of_measure in found for r in of_measure],
        "models": columns(results, study),
    }
    text = markdown(study, results, found)
    name = (
        "correlation" if study.dataset == "digits" else f"correlation-{study.dataset}"
    )
    write_results(out, name, record, text)
    draw(study, results, found, out / f"{name}.png")
    print(text)
    print(f"Tables, results and figure: {out}/{name}.*")


def _record(radius: Radius) -> dict[str, Any]:
    """Returns a radius for JSON."""
    correlation: Correlation = radius.error_gap
    return {
        "measure": radius.measure.name,
        "rho": radius.rho,
        "median": radius.median,
        "converged": radius.converged,
        "tau": correlation.tau._asdict(),
        "psi": [psi._asdict() for psi in correlation.psi],
        "mean_psi": correlation.mean_psi,
        "tau_with_loss_gap": radius.loss_gap,
        "tau_of_first_order_point": radius.first_order,
    }
