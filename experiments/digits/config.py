"""Every number of the demo."""

import dataclasses
import math
from pathlib import Path

from experiments.tuning import check_grids

NUM_DIGITS = 1797


@dataclasses.dataclass(frozen=True)
class Config:
    """SGD, SAM and ASAM on scikit-learn's digits, with label noise and without.

    Chooses rho for each method on a validation split and reports the accuracy on clean
    test labels. Writes a table, a results file and three figures.
    """

    out: Path = Path("runs/digits")
    """Folder for the results. Those of an earlier run there are replaced."""

    quick: bool = False
    """Start from settings that end within seconds; other options still apply."""

    noise_rates: tuple[float, ...] = (0.4, 0.0)
    """Shares of the training and validation labels that are made wrong, in [0, 1)."""

    num_seeds: int = 5
    """Runs a setting. Each has its own noise, validation split, weights and order."""

    epochs: int = 100
    """Passes over the training set; SGD also runs for twice as many.
    A step of SAM or ASAM takes two gradients, a step of SGD one."""

    sam_rhos: tuple[float, ...] = (0.09, 0.125, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0)
    """Radii that are tried for SAM, as many as for ASAM."""

    asam_rhos: tuple[float, ...] = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
    """Radii that are tried for ASAM."""

    eta: float = 0.01
    """ASAM's stabiliser, added to each weight's magnitude."""

    hidden_sizes: tuple[int, ...] = (128, 128)
    """Units of each hidden layer."""

    batch_size: int = 64
    """Images a step. The rest of an epoch that fills no batch is left out."""

    learning_rate: float = 0.1
    """At the start; it falls to 0 along a cosine."""

    momentum: float = 0.9
    """Of all methods' SGD."""

    weight_decay: float = 5e-4
    """On all parameters, at w."""

    num_train: int = 960
    """Training images."""

    num_validation: int = 240
    """Images to choose rho with, their labels as noisy as the training labels.
    What remains of the 1,797 digits is the test set, the same for all seeds."""

    rescaling: float = 5.0
    """The largest factor, and the inverse of the smallest, on the twin's units."""

    def __post_init__(self) -> None:
        """Refuses settings that cannot be run or compared."""
        self._check_grids()
        self._check_sizes()
        for name in ("learning_rate", "rescaling"):
            value = getattr(self, name)
            _require(value > 0, f"--{_option(name)} must be positive: got {value}.")
        for name in ("eta", "weight_decay"):
            value = getattr(self, name)
            _require(value >= 0, f"--{_option(name)} must be at least 0: got {value}.")

    def _check_grids(self) -> None:
        check_grids({"--sam-rhos": self.sam_rhos, "--asam-rhos": self.asam_rhos})
        for name in ("sam_rhos", "asam_rhos"):
            rhos = getattr(self, name)
            _require(
                rhos[0] > 0 and rhos[-1] < math.inf and list(rhos) == sorted(set(rhos)),
                f"--{_option(name)} must be positive, finite and increasing: got "
                f"{rhos}.",
            )
        _require(
            len(set(self.noise_rates)) == len(self.noise_rates) > 0
            and all(0 <= rate < 1 for rate in self.noise_rates),
            "--noise-rates must be different shares in [0, 1), such as 0.4 for 40 %: "
            f"got {self.noise_rates}.",
        )

    def _check_sizes(self) -> None:
        for name in ("num_seeds", "epochs", "batch_size", "num_validation"):
            value = getattr(self, name)
            _require(value >= 1, f"--{_option(name)} must be at least 1: got {value}.")
        _require(
            self.num_train >= self.batch_size,
            f"--num-train must hold a batch of {self.batch_size}: got "
            f"{self.num_train}. Lower --batch-size or raise --num-train.",
        )
        _require(
            self.num_train + self.num_validation < NUM_DIGITS,
            f"--num-train and --num-validation must leave some of {NUM_DIGITS} digits "
            f"for the test: got {self.num_train} and {self.num_validation}.",
        )
        _require(
            len(self.hidden_sizes) > 0 and min(self.hidden_sizes) > 0,
            f"--hidden-sizes must be positive: got {self.hidden_sizes}.",
        )


def quick_config() -> Config:
    """What `--quick` starts from: too short to learn from, in seconds."""
    return Config(
        quick=True,
        num_seeds=2,
        epochs=5,
        sam_rhos=(0.05, 0.2),
        asam_rhos=(0.5, 2.0),
        hidden_sizes=(64,),
    )


def _option(name: str) -> str:
    return name.replace("_", "-")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
