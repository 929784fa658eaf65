"""The figures of the paper's image tables, and how each is known.

Test accuracy in %, the maximum over epochs, mean ± standard deviation over seeds.
A figure that is not verified is recalled, and no claim of ours.
"""

from typing import NamedTuple


class PaperFigure(NamedTuple):
    """A cell of a table of the paper."""

    text: str
    is_verified: bool
    """Whether a second source quotes it."""

    def __str__(self) -> str:
        """Returns the figure, marked where it is not verified."""
        return self.text if self.is_verified else f"{self.text} (unverified)"


_CIFAR10 = {
    "densenet121": ("91.00±.13", "92.00±.17", "93.33±.04"),
    "resnet20": ("93.18±.21", "93.56±.15", "93.82±.17"),
    "resnet56": ("94.58±.20", "95.18±.15", "95.42±.16"),
    "vgg19_bn": ("93.87±.09", "94.60", "95.07±.05"),
    "resnext29_32x4d": ("95.84±.24", "96.34±.30", "96.80±.06"),
    "wrn28_2": ("95.13±.16", "95.74±.08", "95.94±.05"),
    "wrn28_10": ("96.34±.12", "96.98±.04", "97.28±.07"),
    "pyramidnet272": ("98.44±.08", "98.55±.05", "98.68±.08"),
}
_CIFAR100 = {
    "densenet121": ("68.70±.31", "69.84±.12", "70.60±.20"),
    "resnet20": ("69.76±.44", "71.06±.31", "71.40±.30"),
    "resnet56": ("73.12±.19", "75.16±.05", "75.86±.22"),
    "vgg19_bn": ("71.80±1.35", "73.52±1.74", "75.80±.27"),
    "resnext29_32x4d": ("79.48±.29", "81.48±.17", "82.30±.11"),
    "wrn28_2": ("75.28±.17", "77.25±.35", "77.54±.14"),
    "wrn28_10": ("81.56±.13", "83.42±.04", "83.68±.12"),
    "pyramidnet272": ("88.91±.12", "89.36±.20", "89.90±.13"),
}
_NOISE = {
    "cifar10-resnet32-noise00": ("94.50±.11", "94.80±.12", "94.88±.12"),
    "cifar10-resnet32-noise20": ("91.32±.23", "92.94±.12", "93.21±.10"),
    "cifar10-resnet32-noise40": ("87.68±.05", "90.62±.18", "90.89±.13"),
    "cifar10-resnet32-noise60": ("82.50±.30", "86.58±.30", "87.41±.16"),
    "cifar10-resnet32-noise80": ("68.35±.85", "69.92±.98", "67.69±1.34"),
}
_IMAGENET = {"imagenet-resnet50": ("75.79±.22", "76.39±.03", "76.63±.18")}

_ROWS = {
    **{f"cifar10-{net}": cells for net, cells in _CIFAR10.items()},
    **{f"cifar100-{net}": cells for net, cells in _CIFAR100.items()},
    **_NOISE,
    **_IMAGENET,
}
_VERIFIED = {
    *("cifar10-wrn28_10-sgd", "cifar10-wrn28_10-sam", "cifar10-wrn28_10-asam"),
    *("cifar100-wrn28_10-sgd", "cifar100-wrn28_10-sam", "cifar100-wrn28_10-asam"),
    *("cifar10-pyramidnet272-asam", "cifar100-pyramidnet272-asam"),
}

PAPER = {
    f"{row}-{method}": PaperFigure(text, f"{row}-{method}" in _VERIFIED)
    for row, cells in _ROWS.items()
    for method, text in zip(("sgd", "sam", "asam"), cells, strict=True)
}
"""Name of a preset to the paper's figure."""
