"""The paper's image experiments, every cell of its tables, as configs.

Figures and how sure they are: Kwon et al., 2021, section 5 and appendix; what the
official code fixes (CIFAR with SAM and ASAM) is read from it, the rest recalled.
"""

import dataclasses
import math
from collections.abc import Iterator

from experiments.training.config import Ascent
from experiments.training.image_config import Dataset, ImageConfig, ImageData

METHODS = ("sgd", "sam", "asam")
CIFAR_NETS = (
    *("densenet121", "resnet20", "resnet56", "vgg19_bn"),
    *("resnext29_32x4d", "wrn28_2", "wrn28_10", "pyramidnet272"),
)
NOISE_PERCENT = (0, 20, 40, 60, 80)
RHO = {
    "cifar10": {"sgd": 0.0, "sam": 0.05, "asam": 0.5},
    "cifar100": {"sgd": 0.0, "sam": 0.1, "asam": 1.0},
    "imagenet2012": {"sgd": 0.0, "sam": 0.05, "asam": 1.0},
}
SCHEMES = {
    "elementwise": Ascent(normalization="elementwise"),
    "elementwise-with-bias": Ascent(normalization="elementwise-with-bias"),
    "elementwise-inf": Ascent(normalization="elementwise", p=math.inf),
    "filterwise": Ascent(normalization="filterwise"),
    "layerwise": Ascent(normalization="layerwise"),
}
"""The balls of the figure of normalization schemes, and a layer-wise one."""
SCHEME_RHOS = {
    "elementwise": (0.1, 0.2, 0.5, 1.0, 2.0),
    "elementwise-with-bias": (0.1, 0.2, 0.5, 1.0, 2.0),
    "elementwise-inf": (1e-4, 2e-4, 5e-4, 1e-3, 2e-3),
    "filterwise": (0.01, 0.02, 0.05, 0.1, 0.2),
    "layerwise": (0.1, 0.2, 0.5, 1.0, 2.0),
}
"""Five successive values of the paper's grid for WRN-16-8: element-wise around its 0.5,
in the other balls around our estimate of what has the same effect."""


def ascent(method: str, rho: float) -> Ascent:
    """Returns the paper's ascent of a method: p = 2, eta = 0.01."""
    shape = "elementwise" if method == "asam" else "identity"
    return Ascent(rho=rho, normalization=shape)


def cifar(dataset: Dataset, net: str, method: str) -> ImageConfig:
    """Returns a cell of the CIFAR tables; SGD trains twice as long, at equal cost."""
    config = ImageConfig(
        name=f"{dataset}-{net}-{method}",
        data=ImageData(dataset),
        net=net,
        ascent=ascent(method, RHO[dataset][method]),
        epochs=400 if method == "sgd" else 200,
    )
    return _pyramidnet(config) if net == "pyramidnet272" else config


def _pyramidnet(config: ImageConfig) -> ImageConfig:
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, augmentation="autoaugment"),
        epochs=1800 if config.ascent.rho == 0 else 900,
        batch_size=256,
        learning_rate=0.05,
        weight_decay=1e-4,
    )


def noisy(percent: int, method: str) -> ImageConfig:
    """Returns a cell of the label-noise table: ResNet-32 on CIFAR-10."""
    config = cifar("cifar10", "resnet32", method)
    return dataclasses.replace(
        config,
        name=f"cifar10-resnet32-noise{percent:02}-{method}",
        data=dataclasses.replace(config.data, noise_rate=percent / 100),
    )


def small(method: str) -> ImageConfig:
    """Returns a run in minutes on a CPU: a small net on 16x16 images."""
    return dataclasses.replace(
        cifar("cifar10", "small", method),
        data=ImageData("cifar10", shrink=2, num_train=10_000),
        epochs=20 if method == "sgd" else 10,
    )


def normalization(scheme: str, rho: float) -> ImageConfig:
    """Returns a point of the figure of normalization schemes: WRN-16-8 on CIFAR-10.

    A validation split is cut from the training images, to choose rho. SGD is the point
    rho = 0 of every scheme, with as many epochs.
    """
    return dataclasses.replace(
        cifar("cifar10", "wrn16_8", "asam"),
        name=f"cifar10-wrn16_8-{scheme}-rho{rho:g}",
        data=ImageData("cifar10", num_validation=5000),
        ascent=scheme_ascent(scheme, rho),
    )


def scheme_ascent(scheme: str, rho: float) -> Ascent:
    """Returns the ascent in the ball of a scheme; none for `sgd`."""
    return dataclasses.replace(SCHEMES[scheme], rho=rho) if rho else Ascent()


def imagenet(method: str) -> ImageConfig:
    """Returns a row of the ImageNet table: ResNet-50."""
    return ImageConfig(
        name=f"imagenet-resnet50-{method}",
        data=ImageData("imagenet2012"),
        net="resnet50",
        ascent=ascent(method, RHO["imagenet2012"][method]),
        epochs=200 if method == "sgd" else 100,
        batch_size=512,
        learning_rate=0.2,
        weight_decay=1e-4,
    )


def _cifar_presets() -> Iterator[ImageConfig]:
    datasets: tuple[Dataset, ...] = ("cifar10", "cifar100")
    for method in METHODS:
        yield small(method)
        for dataset in datasets:
            for net in CIFAR_NETS:
                yield cifar(dataset, net, method)
        for percent in NOISE_PERCENT:
            yield noisy(percent, method)


def _normalization_presets() -> Iterator[ImageConfig]:
    yield normalization("sgd", 0.0)
    for scheme, rhos in SCHEME_RHOS.items():
        for rho in rhos:
            yield normalization(scheme, rho)


CIFAR = {config.name: config for config in _cifar_presets()}
NORMALIZATION = {config.name: config for config in _normalization_presets()}
IMAGENET = {config.name: config for config in map(imagenet, METHODS)}
