"""How sharp is the minimum of a trained run? Writes a page of figures, and JSON.

    python -m experiments.sharpness_report runs/cifar10-small-asam/seed0 --data-dir D

Measures sharpness and adaptive sharpness (one step and worst case, p = 2 and inf), the
largest eigenvalues, trace and spectral density of the Hessian, plain and in ASAM's
coordinates, and the loss over a plane. Minutes for a small net on a CPU.
"""

import dataclasses
import sys

import tyro
from tqdm import tqdm

from experiments.provenance import provenance, write_json
from experiments.settings_error import SettingsError, blaming_settings
from experiments.sharpness_report.config import Options
from experiments.sharpness_report.measures import measures, num_measures
from experiments.sharpness_report.page import page
from experiments.sharpness_report.trained import load_trained
from experiments.training.checkpoint import CheckpointError
from experiments.training.run_folder import write_text


def main(options: Options) -> None:
    """Measures a run and writes its report."""
    record = provenance()
    with blaming_settings():
        net = load_trained(
            options.run,
            options.data_dir,
            num_examples=options.num_examples,
            batch_size=options.batch_size,
        )
    found = {}
    with tqdm(total=num_measures(), unit="measure", disable=None) as bar:
        for name, values in measures(net, options):
            found[name] = values
            bar.update()
    record |= {
        "run": {
            "name": net.config.name,
            "summary": net.config.summary,
            "seed": net.seed,
            "step": net.step,
        },
        "num_examples": sum(len(batch.labels) for batch in net.batches),
        "options": {
            name: str(value) if name in ("run", "out") else value
            for name, value in dataclasses.asdict(options).items()
        },
        "measures": found,
    }
    out = options.out or options.run
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "sharpness.json", record)
    write_text(out / "sharpness.html", page(record))
    print(f"{out / 'sharpness.html'} and sharpness.json are written")


if __name__ == "__main__":
    try:
        main(
            tyro.cli(
                Options,
                prog="python -m experiments.sharpness_report",
                description=__doc__,
            )
        )
    except (SettingsError, OSError, CheckpointError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped before the end: nothing was written")
