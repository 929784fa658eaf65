import dataclasses
import math

import pytest

from experiments.training.config import Ascent
from experiments.training.translation_config import TextData
from experiments.translation_presets import TRANSLATION

CONFIG = TRANSLATION["iwslt14-asam"]


def test_the_summary_says_what_is_trained():
    assert CONFIG.summary == (
        "transformer on iwslt14_de_en: 50 epochs, elementwise rho 0.2"
    )
    adam = dataclasses.replace(CONFIG, ascent=Ascent())
    assert adam.summary.endswith("50 epochs, no ascent")


@pytest.mark.parametrize("field", ["epochs", "warmup_steps", "averaged", "beam_size"])
def test_a_run_of_nothing_is_refused(field):
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        dataclasses.replace(CONFIG, **{field: 0})


def test_no_more_epochs_than_there_are_can_be_averaged():
    assert dataclasses.replace(CONFIG, epochs=10, averaged=10).averaged == 10
    with pytest.raises(ValueError, match="cannot average 10 of 9 epochs"):
        dataclasses.replace(CONFIG, epochs=9, averaged=10)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label_smoothing", 1.0),
        ("label_smoothing", -0.1),
        ("length_penalty", -0.5),
        ("length_penalty", math.nan),
    ],
)
def test_what_would_fail_after_training_is_refused_before(field, value):
    with pytest.raises(ValueError, match=f"{field} must be .*, got {value}"):
        dataclasses.replace(CONFIG, **{field: value})


@pytest.mark.parametrize(
    "field", ["num_subwords", "num_train", "max_length", "num_tokens"]
)
def test_no_data_are_refused(field):
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got -5"):
        dataclasses.replace(CONFIG.data, **{field: -5})


def test_numbers_need_a_size():
    with pytest.raises(ValueError, match="numbers are made on the spot: choose num_"):
        TextData("numbers", num_subwords=100)


@pytest.mark.parametrize(
    "change", [{"num_tokens": 175}, {"bucket_lengths": ()}, {"bucket_lengths": (0, 9)}]
)
def test_a_batch_holds_a_sentence_of_each_length(change):
    with pytest.raises(ValueError, match=r"a batch of \d+ tokens cannot hold"):
        dataclasses.replace(CONFIG.data, **change)
    assert dataclasses.replace(CONFIG.data, num_tokens=176).num_tokens == 176
