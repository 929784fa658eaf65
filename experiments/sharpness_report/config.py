"""What is measured."""

import dataclasses
import pathlib

from tyro.conf import Positional

from experiments.training.config import require_positive


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure, and where."""

    run: Positional[pathlib.Path]
    """Folder of a run that python -m experiments.cifar has trained: .../seedK."""
    data_dir: str = "~/tensorflow_datasets"
    """Folder of the prepared data sets."""
    out: pathlib.Path | None = None
    """Folder of sharpness.html and sharpness.json; the run's own by default."""
    num_examples: int = 2000
    """Training examples over which the loss is taken."""
    batch_size: int = 250
    """Examples at a time; bounds the memory and changes no figure."""
    rho: float = 0.05
    """Radius of the plain ball; that of p = inf is the cube inside it."""
    adaptive_rho: float = 0.5
    """Radius of the adaptive ball, likewise."""
    num_steps: int = 30
    """The most steps of an ascent to the worst case."""
    num_eigenvalues: int = 3
    """The largest eigenvalues of the Hessian."""
    num_lanczos: int = 20
    """Points of the spectral density."""
    num_points: int = 15
    """Points along each side of the landscape, odd: the middle one is the net."""
    extent: float = 1.0
    """Half a side of the landscape: 1 replaces a filter by a random one as long."""
    seed: int = 0
    """Of random directions."""

    def __post_init__(self):
        """Refuses what measures nothing."""
        require_positive(
            self,
            *("num_examples", "batch_size", "num_steps"),
            *("num_eigenvalues", "num_lanczos"),
        )
        if min(self.rho, self.adaptive_rho) < 0 or self.num_lanczos < 2:
            raise ValueError("the radii must be >= 0 and num_lanczos at least 2")
        if self.num_points < 3 or self.num_points % 2 == 0:
            raise ValueError(
                f"num_points must be odd and at least 3, got {self.num_points}"
            )
