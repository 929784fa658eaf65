"""SGD, SAM and ASAM where plain training overfits, in small: 0 and 40 % label noise.

    python -m experiments.label_noise --data-dir D --run-dir runs/label_noise

A small net on some thousand CIFAR-10 images at 16x16, without augmentation, for enough
epochs that SGD fits the wrong labels. SGD runs at equal steps and, with twice the
epochs, at equal compute. rho is chosen for SAM and ASAM from grids of equal length, by
accuracy on a validation split with noisy labels, at the first seed; the other seeds run
at the chosen rho alone. The same command again skips what is finished and resumes what
is not.

The paper's own table (ResNet-32, all images) is that of the presets
`cifar10-resnet32-noise40-asam` and the like of `python -m experiments.cifar`.
"""

import dataclasses
import pathlib

from experiments.label_noise_report import method_of, write_report
from experiments.presets import ascent
from experiments.provenance import provenance
from experiments.runs import Run
from experiments.study import SmallStudy, best_rho, command, finish_all
from experiments.training.image_config import ImageConfig

METHODS = ("sgd", "sgd-2x", "sam", "asam")


@dataclasses.dataclass(frozen=True)
class Study(SmallStudy):
    """What is run; every default is that of the committed results."""

    run_dir: str = "runs/label_noise"
    """Folder of the runs."""
    out: pathlib.Path = pathlib.Path("runs/label_noise")
    """Folder of label_noise.json, .md and .png, rewritten after each finished run."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """The first of them chooses rho."""
    noise_rates: tuple[float, ...] = (0.0, 0.4)
    """Shares of labels that are redrawn from all classes."""
    sam_rhos: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 0.9)
    """Grid of SAM."""
    asam_rhos: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0, 9.0)
    """Grid of ASAM, as long as that of SAM."""

    def __post_init__(self):
        """Refuses a comparison that is not fair, or none."""
        if len(self.sam_rhos) != len(self.asam_rhos):
            raise ValueError("the grids of SAM and ASAM must be equally long")
        if not self.seeds or not self.noise_rates:
            raise ValueError("there must be at least one seed and one noise rate")


def config_of(study: Study, method: str, noise_rate: float, rho: float) -> ImageConfig:
    """Returns the config of a run; `rho` is 0 for SGD."""
    suffix = f"-rho{rho:g}" if rho else ""
    return study.config(
        f"noise{100 * noise_rate:02.0f}-{method}{suffix}",
        ascent(method, rho),
        noise_rate,
        epochs=2 * study.epochs if method == "sgd-2x" else study.epochs,
    )


def grids(study: Study) -> dict[str, tuple[float, ...]]:
    """Returns the values of rho that each method tries."""
    return {
        "sgd": (0.0,),
        "sgd-2x": (0.0,),
        "sam": study.sam_rhos,
        "asam": study.asam_rhos,
    }


def chosen_rho(runs: list[Run], method: str, noise_rate: float, seed: int) -> float:
    """Returns the rho with the best last accuracy on the validation split."""
    tried = [
        run
        for run in runs
        if (method, noise_rate, seed)
        == (method_of(run), run.config["data"]["noise_rate"], run.config["seed"])
    ]
    return best_rho(
        (run.series("validation", "accuracy")[-1], run.config["ascent"]["rho"])
        for run in tried
    )


def main(study: Study) -> None:
    """Trains what is left, choosing rho on the way, and writes the report."""
    record = provenance()
    runs: list[Run] = []

    def add(run: Run) -> None:
        runs.append(run)
        write_report(study.out, record, study.record(), runs)

    tuned = [
        config_of(study, method, noise_rate, rho)
        for noise_rate in study.noise_rates
        for method in METHODS
        for rho in grids(study)[method]
    ]
    finish_all(study.jobs(tuned, study.seeds[:1]), study.workers, add)
    final = [
        config_of(
            study,
            method,
            noise_rate,
            chosen_rho(runs, method, noise_rate, study.seeds[0]),
        )
        for noise_rate in study.noise_rates
        for method in METHODS
    ]
    finish_all(study.jobs(final, study.seeds[1:]), study.workers, add)
    print((study.out / "label_noise.md").read_text())


if __name__ == "__main__":
    command(Study, main, __doc__ or "")
