"""Normalization schemes in small: test accuracy against rho, a line for each ball.

    python -m experiments.normalization --data-dir D --run-dir runs/normalization

Element-wise balls with p = 2, with and without bias normalization, and with p = inf; a
filter-wise and a layer-wise ball with p = 2. All train the same small net on the same
CIFAR-10 images, with 40 % label noise, and try five values of rho, each twice the one
before. They range over about the same effect in each ball: after 300 steps of SGD the
ascent raises the loss of a batch by some 0.2 at the smallest and 3 at the largest. SGD
is their common end, rho = 0. The same command again skips what is finished and resumes
what is not.

The paper's own figure (WRN-16-8, all images) is that of the presets
`cifar10-wrn16_8-elementwise-rho0.5` and the like of `python -m experiments.cifar`,
which `python -m experiments.normalization_report` draws.
"""

import dataclasses
import pathlib

from experiments.normalization_report import write_report
from experiments.presets import scheme_ascent
from experiments.provenance import provenance
from experiments.runs import Run
from experiments.small_cifar10 import SmallStudy
from experiments.study_command import command
from experiments.training.image_config import ImageConfig
from experiments.tuning import check_grids

LIKE_ASAM = (0.3, 0.6, 1.2, 2.4, 4.8)


@dataclasses.dataclass(frozen=True)
class Study(SmallStudy):
    """What is run; every default is that of the committed results."""

    run_dir: str = "runs/normalization"
    """Folder of the runs."""
    out: pathlib.Path = pathlib.Path("runs/normalization")
    """Folder of normalization.json, .md and .png, rewritten after each finished run."""
    epochs: int = 24
    """Epochs of a run."""
    seeds: tuple[int, ...] = (0,)
    """Every rho is tried with each."""
    noise_rate: float = 0.4
    """Share of labels that are redrawn from all classes."""
    elementwise: tuple[float, ...] = LIKE_ASAM
    """Grid of rho, p = 2, T = 1 for biases."""
    elementwise_with_bias: tuple[float, ...] = LIKE_ASAM
    """Grid of rho, p = 2, biases normalized, too."""
    elementwise_inf: tuple[float, ...] = (0.004, 0.008, 0.016, 0.032, 0.064)
    """Grid of rho, p = inf, T = 1 for biases."""
    filterwise: tuple[float, ...] = (0.06, 0.12, 0.24, 0.48, 0.96)
    """Grid of rho, p = 2."""
    layerwise: tuple[float, ...] = LIKE_ASAM
    """Grid of rho, p = 2."""

    def __post_init__(self):
        """Refuses a comparison that is not fair, or none."""
        super().__post_init__()
        check_grids({f"--{scheme}": rhos for scheme, rhos in self.grids.items()})

    @property
    def grids(self) -> dict[str, tuple[float, ...]]:
        """Scheme to the values of rho that it tries."""
        return {
            "elementwise": self.elementwise,
            "elementwise-with-bias": self.elementwise_with_bias,
            "elementwise-inf": self.elementwise_inf,
            "filterwise": self.filterwise,
            "layerwise": self.layerwise,
        }


def config_of(study: Study, scheme: str, rho: float) -> ImageConfig:
    """Returns the config of a run; `rho` is 0 for SGD."""
    return study.config(
        f"noise{100 * study.noise_rate:02.0f}-{scheme}-rho{rho:g}",
        scheme_ascent(scheme, rho),
        study.noise_rate,
        study.epochs,
    )


def configs_of(study: Study) -> list[ImageConfig]:
    """Returns SGD and every rho of every scheme."""
    return [
        config_of(study, "sgd", 0.0),
        *(
            config_of(study, scheme, rho)
            for scheme, rhos in study.grids.items()
            for rho in rhos
        ),
    ]


def main(study: Study) -> None:
    """Trains what is left and writes the report."""
    record = {**provenance(), "study": study.record()}
    runs: list[Run] = []
    for run in study.finish(configs_of(study), study.seeds):
        runs.append(run)
        write_report(study.out, record, runs)
    print((study.out / "normalization.md").read_text())


if __name__ == "__main__":
    command(Study, main, __doc__ or "")
