import re

import pytest

from experiments.paper import PAPER, PaperFigure

# All that second sources quote: the WideResNets, and PyramidNet's ASAM cells.
VERIFIED = {
    "cifar10-wrn28_10-sgd": "96.34±.12",
    "cifar10-wrn28_10-sam": "96.98±.04",
    "cifar10-wrn28_10-asam": "97.28±.07",
    "cifar10-pyramidnet272-asam": "98.68±.08",
    "cifar100-wrn28_10-sgd": "81.56±.13",
    "cifar100-wrn28_10-sam": "83.42±.04",
    "cifar100-wrn28_10-asam": "83.68±.12",
    "cifar100-pyramidnet272-asam": "89.90±.13",
}


def test_only_what_a_second_source_quotes_is_verified():
    verified = {name: fig.text for name, fig in PAPER.items() if fig.is_verified}
    assert verified == VERIFIED


@pytest.mark.parametrize("name", PAPER)
def test_an_unverified_figure_is_marked(name):
    marked = str(PAPER[name]).endswith(" (unverified)")
    assert marked == (name not in VERIFIED)
    assert re.fullmatch(r"\d\d\.\d\d(±\d?\.\d\d)?", PAPER[name].text)


def test_a_recalled_figure_is_that_of_its_cell():
    assert PAPER["cifar10-vgg19_bn-sam"] == PaperFigure("94.60", False)
    assert PAPER["cifar10-resnet32-noise80-asam"] == PaperFigure("67.69±1.34", False)
    assert PAPER["imagenet-resnet50-sgd"] == PaperFigure("75.79±.22", False)
