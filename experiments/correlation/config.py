"""Every number of the study."""

import dataclasses
from typing import Literal

from tyro.conf import OmitArgPrefixes

from experiments.correlation.grid import Grid
from experiments.training.config import require_positive


@dataclasses.dataclass(frozen=True)
class Study:
    """What is trained and what is measured."""

    dataset: Literal["digits", "cifar10"]
    """scikit-learn's digits, or a prepared data set of TFDS."""
    net: Literal["mlp", "conv"]
    """A multilayer perceptron, or convolutions without normalization."""
    widths: tuple[int, ...]
    """Units or channels of each hidden layer."""
    num_train: int
    """Training examples."""
    noise_rate: float
    """Share of training labels that are redrawn from the other classes."""
    grid: OmitArgPrefixes[Grid]
    target_loss: float
    """Training stops when the loss on all training examples, no dropout, is below."""
    epochs: int
    """Passes over the training set at most; models that need more are left out."""
    check_every: int
    """Steps between two looks at the training loss."""
    plain_l2_rhos: tuple[float, ...]
    """Radii for sharpness, p = 2. The middle one is that of the table."""
    adaptive_l2_rhos: tuple[float, ...]
    """Radii for adaptive sharpness, p = 2."""
    plain_inf_rhos: tuple[float, ...]
    """Radii for sharpness, p = inf."""
    adaptive_inf_rhos: tuple[float, ...]
    """Radii for adaptive sharpness, p = inf."""
    seeds: tuple[int, ...] = (0,)
    """Each trains the whole grid, with its own weights, order, dropout and noise."""
    momentum: float = 0.9
    """Of SGD."""
    eta: float = 0.01
    """Added to each weight's magnitude in adaptive sharpness."""
    num_steps: int = 30
    """Steps of the ascent to the worst point, at most."""
    tolerance: float = 1e-3
    """What the ball may still promise where the ascent ends, as a share of the rise."""
    resamples: int = 2000
    """Of the bootstrap."""
    quick: bool = False
    """Start from settings that end within seconds, too small to learn from."""

    def __post_init__(self):
        """Refuses a study of nothing."""
        require_positive(self, "num_train", "epochs", "check_every", "resamples")
        if not self.seeds:
            raise ValueError("--seeds needs at least one number")
        if self.eta < 0 or self.num_steps < 0:
            raise ValueError("eta and num_steps must be >= 0")
        radii = (
            self.plain_l2_rhos,
            self.adaptive_l2_rhos,
            self.plain_inf_rhos,
            self.adaptive_inf_rhos,
        )
        if len({len(rhos) for rhos in radii}) > 1 or not min(radii, default=()):
            raise ValueError("each measure needs a radius, and equally many")
