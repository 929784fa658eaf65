"""What a run of image classification is."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeAlias

from tyro.conf import OmitArgPrefixes

from experiments.nets import IMAGE_NETS
from experiments.training.config import Ascent, require_positive

Dataset: TypeAlias = Literal["cifar10", "cifar100", "imagenet2012"]


@dataclasses.dataclass(frozen=True)
class ImageData:
    """The images and what is done to them."""

    dataset: Dataset
    """Name of the prepared TFDS data set."""
    augmentation: Literal["none", "crop-flip", "autoaugment"] = "crop-flip"
    """crop-flip pads by 4, crops and mirrors; autoaugment adds the CIFAR policy."""
    cutout: int = 0
    """Side of the square set to zero, in pixels; 0 for none."""
    shrink: int = 1
    """Average blocks of this many pixels a side: 2 turns 32x32 into 16x16."""
    num_validation: int = 0
    """Training examples that are held out and evaluated as `validation`."""
    num_train: int | None = None
    """Training examples, after the validation split; all by default."""
    noise_rate: float = 0.0
    """Share of training (and validation) labels that are redrawn, in [0, 1]."""
    noise: Literal["symmetric", "symmetric-others", "pair-flip"] = "symmetric"
    """Redraw from all K classes, from the K - 1 others, or turn class c into c + 1."""
    data_seed: int = 0
    """Seed of the validation split, the subset and the label noise."""

    def __post_init__(self):
        """Refuses numbers that mean nothing."""
        require_positive(self, "shrink")
        if min(self.cutout, self.num_validation) < 0:
            raise ValueError("cutout and num_validation must be >= 0")
        if self.num_train is not None:
            require_positive(self, "num_train")
        if not 0 <= self.noise_rate <= 1:
            raise ValueError(f"noise_rate must be in [0, 1], got {self.noise_rate}")


@dataclasses.dataclass(frozen=True)
class ImageConfig:
    """Every number of a run of image classification."""

    name: str
    """Name of the preset, and of the run folder."""
    data: OmitArgPrefixes[ImageData]
    net: str
    """Name of the net; another name is refused with the list of all."""
    ascent: OmitArgPrefixes[Ascent] = dataclasses.field(default_factory=Ascent)
    epochs: int = 200
    """Epochs; the learning rate falls to 0 over them along half a cosine."""
    batch_size: int = 128
    """Examples a step, on all devices together."""
    learning_rate: float = 0.1
    """At the first step."""
    momentum: float = 0.9
    """Of SGD, without Nesterov."""
    weight_decay: float = 5e-4
    """On all parameters, at w, outside the ascent."""
    label_smoothing: float = 0.1
    """s: the target is 1 - s + s / K for the true class, s / K for the others."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward and backward pass; parameters and ascent stay float32."""

    def __post_init__(self):
        """Refuses a run of no step and an unknown net."""
        require_positive(self, "epochs", "batch_size")
        if self.net not in IMAGE_NETS:
            raise ValueError(
                f"net must be one of {', '.join(IMAGE_NETS)}; got {self.net}"
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_json` wrote, and leaves out what is no field."""
        fields = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in values.items() if name in fields}
        return cls(
            **known
            | {
                "data": ImageData(**values["data"]),
                "ascent": Ascent(**values["ascent"]),
            }
        )

    @property
    def summary(self) -> str:
        """The config in a few words."""
        noise = f", {self.data.noise_rate:.0%} noise" if self.data.noise_rate else ""
        return (
            f"{self.net} on {self.data.dataset}{noise}: {self.epochs} epochs, "
            f"{self.ascent.summary}"
        )
