"""The hyperparameters that differ between the models."""

import dataclasses
import itertools
import math
from typing import NamedTuple


class Hyperparameters(NamedTuple):
    """What a model is trained with."""

    batch_size: int
    learning_rate: float
    """At the first step."""
    weight_decay: float
    dropout: float


@dataclasses.dataclass(frozen=True)
class Grid:
    """The values of each hyperparameter; a model is trained for each combination."""

    batch_size: tuple[int, ...]
    """Examples a step."""
    learning_rate: tuple[float, ...]
    """At the first step; it falls to 0 along a cosine."""
    weight_decay: tuple[float, ...]
    """On all parameters, at w."""
    dropout: tuple[float, ...]
    """Probabilities that training zeroes a hidden unit."""

    def __post_init__(self):
        """Refuses hyperparameters that do not vary, and values that cannot be."""
        for name, values in zip(Hyperparameters._fields, self.axes, strict=True):
            if len(set(values)) < max(2, len(values)):
                raise ValueError(f"{name} needs two values or more, all different")
            if min(values) < 0 or not math.isfinite(max(values)):
                raise ValueError(f"{name} must be finite and at least 0: {values}")
        if min(self.batch_size) < 1 or max(self.dropout) >= 1:
            raise ValueError("batch_size must be at least 1 and dropout below 1")

    @property
    def axes(self) -> tuple[tuple[float, ...], ...]:
        """The values of each hyperparameter, in the order of `Hyperparameters`."""
        return (self.batch_size, self.learning_rate, self.weight_decay, self.dropout)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values of each hyperparameter."""
        return tuple(map(len, self.axes))

    @property
    def of_a_batch_size(self) -> list[tuple[float, ...]]:
        """Every learning rate, weight decay and dropout, the last varying fastest."""
        return list(itertools.product(*self.axes[1:]))
