import dataclasses
import json
import math

import pytest

from experiments.presets import CIFAR, IMAGENET
from experiments.training.config import (
    Ascent,
    Cadence,
    RunOptions,
    differences,
    to_json,
)
from experiments.training.image_config import ImageConfig, ImageData


@pytest.mark.parametrize("config", [*CIFAR.values(), *IMAGENET.values()])
def test_a_config_survives_json(config):
    record = json.loads(json.dumps(to_json(config)))
    data, ascent = ImageData(**record.pop("data")), Ascent(**record.pop("ascent"))
    assert ImageConfig(data=data, ascent=ascent, **record) == config


def test_equal_configs_have_no_differences():
    record = to_json(CIFAR["cifar10-wrn28_10-asam"])
    assert differences(record, json.loads(json.dumps(record))) == []


def test_every_difference_has_a_line():
    old, new = (to_json(CIFAR[f"cifar10-wrn28_10-{m}"]) for m in ("sam", "asam"))
    assert differences(old, new) == [
        "ascent.normalization: identity in the run folder, elementwise now",
        "ascent.rho: 0.05 in the run folder, 0.5 now",
        "name: cifar10-wrn28_10-sam in the run folder, cifar10-wrn28_10-asam now",
    ]


@pytest.mark.parametrize("rho", [-0.1, math.inf, math.nan])
def test_a_radius_that_is_none_is_refused(rho):
    with pytest.raises(ValueError, match="rho must be finite"):
        Ascent(rho=rho)


def test_a_norm_that_is_unknown_is_refused():
    with pytest.raises(ValueError, match="p must be 2 or inf"):
        Ascent(rho=0.1, p=1)


@pytest.mark.parametrize("field", ["log_every", "eval_every", "checkpoint_every"])
def test_an_interval_of_nothing_is_refused(field):
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        Cadence(**{field: 0})


def test_a_run_of_nothing_is_refused():
    with pytest.raises(ValueError, match="max_steps must be at least 1"):
        RunOptions(max_steps=0)
    with pytest.raises(ValueError, match="--seed needs at least one number"):
        RunOptions(seed=())


@pytest.mark.parametrize("field", ["epochs", "batch_size"])
def test_a_config_of_no_step_is_refused(field):
    with pytest.raises(ValueError, match=f"{field} must be at least 1"):
        dataclasses.replace(CIFAR["cifar10-small-sgd"], **{field: 0})


def test_an_unknown_net_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"net must be one of .*wrn28_10"):
        dataclasses.replace(CIFAR["cifar10-small-sgd"], net="wrn99_1")
