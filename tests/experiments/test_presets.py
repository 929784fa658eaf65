"""Presets against the paper's settings, written out anew."""

import dataclasses
import itertools
import math

import pytest

from experiments.nets import IMAGE_NETS
from experiments.paper import PAPER
from experiments.presets import CIFAR, IMAGENET, NORMALIZATION, SCHEME_RHOS

PRESETS = CIFAR | IMAGENET
NETS = (
    *("densenet121", "resnet20", "resnet56", "vgg19_bn", "resnext29_32x4d"),
    *("wrn28_2", "wrn28_10", "pyramidnet272"),
)
RHO = {
    ("cifar10", "sam"): 0.05,
    ("cifar10", "asam"): 0.5,
    ("cifar100", "sam"): 0.1,
    ("cifar100", "asam"): 1.0,
    ("imagenet", "sam"): 0.05,
    ("imagenet", "asam"): 1.0,
}
# epochs of SAM and ASAM, batch size, learning rate, weight decay, augmentation
DEFAULT = (200, 128, 0.1, 5e-4, "crop-flip")
PYRAMIDNET = (900, 256, 0.05, 1e-4, "autoaugment")


def cells():
    """Yields the name of each cell, its net and its settings."""
    methods = ("sgd", "sam", "asam")
    for dataset, net in itertools.product(("cifar10", "cifar100"), NETS):
        settings = PYRAMIDNET if net == "pyramidnet272" else DEFAULT
        for method in methods:
            yield f"{dataset}-{net}-{method}", net, settings
    for percent, method in itertools.product(("00", "20", "40", "60", "80"), methods):
        yield f"cifar10-resnet32-noise{percent}-{method}", "resnet32", DEFAULT
    for method in methods:
        settings = (100, 512, 0.2, 1e-4, "crop-flip")
        yield f"imagenet-resnet50-{method}", "resnet50", settings


CELLS = {name: (net, settings) for name, net, settings in cells()}


def test_every_cell_of_the_tables_has_a_preset_and_a_figure():
    assert len(CELLS) == 3 * (8 + 8 + 5 + 1)
    small = {f"cifar10-small-{method}" for method in ("sgd", "sam", "asam")}
    assert PRESETS.keys() == CELLS.keys() | small
    assert PAPER.keys() == CELLS.keys()


@pytest.mark.parametrize("name", CELLS)
def test_a_preset_is_what_the_paper_says(name):
    net, (epochs, batch_size, learning_rate, weight_decay, augmentation) = CELLS[name]
    dataset, method = name.split("-")[0], name.split("-")[-1]
    config = PRESETS[name]
    assert config.name == name
    assert config.net == net
    assert config.data.dataset == dataset.replace("imagenet", "imagenet2012")
    assert config.data.augmentation == augmentation
    assert config.epochs == (2 * epochs if method == "sgd" else epochs)
    assert config.batch_size == batch_size
    assert config.learning_rate == learning_rate
    assert config.weight_decay == weight_decay
    assert (config.momentum, config.label_smoothing) == (0.9, 0.1)
    assert (config.data.num_train, config.data.num_validation) == (None, 0)
    assert (config.data.cutout, config.data.shrink) == (0, 1)
    assert config.precision == "float32"


@pytest.mark.parametrize("name", PRESETS)
def test_the_ball_is_that_of_the_method(name):
    dataset, method = name.split("-")[0], name.split("-")[-1]
    ascent = PRESETS[name].ascent
    assert ascent.rho == RHO.get((dataset, method), 0.0)
    assert ascent.normalization == ("elementwise" if method == "asam" else "identity")
    assert (ascent.eta, ascent.p) == (0.01, 2)


@pytest.mark.parametrize("name", PRESETS)
def test_label_noise_is_where_the_name_says(name):
    data = PRESETS[name].data
    percent = float(name.split("noise")[1].split("-")[0]) if "noise" in name else 0
    assert data.noise_rate == percent / 100
    assert data.noise == "symmetric"


def test_every_preset_names_a_net():
    assert {config.net for config in PRESETS.values()} <= IMAGE_NETS.keys()


@pytest.mark.parametrize("name", NORMALIZATION)
def test_the_schemes_are_points_of_one_figure(name):
    config = NORMALIZATION[name]
    assert config.name == name
    like_the_first = dataclasses.replace(
        config,
        name="cifar10-wrn16_8-sgd-rho0",
        ascent=NORMALIZATION["cifar10-wrn16_8-sgd-rho0"].ascent,
    )
    assert like_the_first == NORMALIZATION["cifar10-wrn16_8-sgd-rho0"]
    assert (config.net, config.epochs, config.batch_size) == ("wrn16_8", 200, 128)
    assert (config.learning_rate, config.weight_decay) == (0.1, 5e-4)
    assert config.data.num_validation == 5000
    assert name.endswith(f"-rho{config.ascent.rho:g}")


def test_every_scheme_tries_as_many_radii_of_the_grid_of_the_paper():
    assert len(NORMALIZATION) == 1 + 5 * 5
    assert NORMALIZATION.keys().isdisjoint(PRESETS)
    grid = [float(f"{m}e{n}") for n in range(-5, 1) for m in (1, 2, 5)]
    for rhos in SCHEME_RHOS.values():
        start = grid.index(rhos[0])
        assert list(rhos) == grid[start : start + 5]
    elementwise = NORMALIZATION["cifar10-wrn16_8-elementwise-rho0.5"].ascent
    assert elementwise == CIFAR["cifar10-wrn28_10-asam"].ascent
    infinity = NORMALIZATION["cifar10-wrn16_8-elementwise-inf-rho0.0002"].ascent
    assert (infinity.normalization, infinity.p) == ("elementwise", math.inf)
