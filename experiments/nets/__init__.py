"""Image nets by name, each a function of the number of classes."""

from collections.abc import Callable, Mapping
from functools import partial

from experiments.nets.densenet import densenet121
from experiments.nets.functional import Net
from experiments.nets.pyramidnet import pyramidnet
from experiments.nets.resnet import resnet
from experiments.nets.resnet50 import resnet50
from experiments.nets.resnext import resnext29_32x4d
from experiments.nets.small import small
from experiments.nets.vgg import vgg19_bn
from experiments.nets.wide_resnet import wide_resnet

IMAGE_NETS: Mapping[str, Callable[[int], Net]] = {
    "densenet121": densenet121,
    "pyramidnet272": partial(pyramidnet, 272, 200),
    "resnet20": partial(resnet, 20),
    "resnet32": partial(resnet, 32),
    "resnet50": resnet50,
    "resnet56": partial(resnet, 56),
    "resnext29_32x4d": resnext29_32x4d,
    "small": small,
    "vgg19_bn": vgg19_bn,
    "wrn16_8": partial(wide_resnet, 16, 8),
    "wrn28_2": partial(wide_resnet, 28, 2),
    "wrn28_10": partial(wide_resnet, 28, 10),
}
