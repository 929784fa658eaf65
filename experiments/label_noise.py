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

from experiments.label_noise_report import result_of, write_report
from experiments.presets import ascent
from experiments.provenance import provenance
from experiments.run_summary import last_validation_accuracy
from experiments.small_cifar10 import SmallStudy
from experiments.study_command import command
from experiments.training.image_config import ImageConfig
from experiments.tuned_training import tune_then_repeat
from experiments.tuning import check_grids


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
        super().__post_init__()
        check_grids({"--sam-rhos": self.sam_rhos, "--asam-rhos": self.asam_rhos})
        if not self.noise_rates:
            raise ValueError("there must be at least one noise rate")


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


def main(study: Study) -> None:
    """Trains what is left, choosing rho on the way, and writes the report."""
    record = {**provenance(), "study": study.record()}
    results = []
    finished = tune_then_repeat(
        {
            (method, noise_rate): rhos
            for noise_rate in study.noise_rates
            for method, rhos in grids(study).items()
        },
        study.seeds,
        lambda setting, rho: config_of(study, *setting, rho),
        study.finish,
        last_validation_accuracy,
    )
    for (method, _), run in finished:
        results.append(result_of(method, run))
        write_report(study.out, record, results)
    print((study.out / "label_noise.md").read_text())


if __name__ == "__main__":
    command(Study, main, __doc__ or "")
