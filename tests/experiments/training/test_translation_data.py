import dataclasses
import logging

import numpy as np
import pytest

from experiments.data.buckets import BucketedPairs
from experiments.data.numbers import number_pairs
from experiments.data.sentences import SentencePairs
from experiments.data.special_tokens import UNKNOWN
from experiments.data.token_batches import NO_PAIR, evaluation_batches
from experiments.training import translation_data
from experiments.training.translation_config import TextData
from experiments.training.translation_data import load_text, load_translation_data

NUMBERS = number_pairs(0, num_train=60, num_validation=7, num_test=9)
LONG = "neun " * 120
DATA = TextData(
    "multi30k", num_subwords=80, max_length=30, num_tokens=96, bucket_lengths=(16, 32)
)


def with_pair(pairs: SentencePairs, source: str, target: str) -> SentencePairs:
    return SentencePairs([source, *pairs.sources], [target, *pairs.targets])


STORED = {
    "train": with_pair(NUMBERS.train, LONG, "nine"),
    "validation": with_pair(NUMBERS.validation, "漢字 eins", "one"),
    "test": with_pair(NUMBERS.test, "neun", LONG),
}


@pytest.fixture
def stored(monkeypatch):
    """Puts number words in the place of Multi30k."""

    def load(name, split, data_dir, *, source, target):
        assert (name, source, target) == ("multi30k", "de", "en")
        return STORED[split]

    monkeypatch.setattr(translation_data, "load_sentences", load)


def load(path, **changes):
    return load_translation_data(
        dataclasses.replace(DATA, **changes), "", path / "subwords.model"
    )


def as_set(pairs: SentencePairs) -> set[tuple[str, str]]:
    return set(zip(*pairs, strict=True))


def indices_of(bucketed: BucketedPairs) -> list[int]:
    indices = np.concatenate([rows for rows, _ in evaluation_batches(bucketed)])
    return sorted(indices[indices != NO_PAIR].tolist())


def test_numbers_need_no_data():
    data = dataclasses.replace(DATA, dataset="numbers", num_train=50)
    text = load_text(data, "no folder")
    assert [len(pairs.sources) for pairs in text] == [50, 1000, 1000]
    assert len(set().union(*map(as_set, text))) == 2050
    assert load_text(dataclasses.replace(data, data_seed=1), "") != text


def test_all_pairs_are_taken_in_their_order(stored):
    assert load_text(DATA, "") == tuple(STORED.values())


def test_a_subset_is_drawn_from_the_training_pairs_alone(stored):
    def draw(**changes):
        return load_text(dataclasses.replace(DATA, **changes), "")

    text = draw(num_train=20)
    assert len(text.train.sources) == len(as_set(text.train)) == 20
    assert as_set(text.train) < as_set(STORED["train"])
    assert text[1:] == (STORED["validation"], STORED["test"])
    assert text == draw(num_train=20)
    assert text.train != draw(num_train=20, data_seed=1).train
    # A longer subset holds the shorter one, and all pairs are in the longest.
    assert text.train == draw(num_train=30).train.take(range(20))
    assert as_set(draw(num_train=61).train) == as_set(STORED["train"])


def test_more_pairs_than_there_are_are_refused(stored):
    with pytest.raises(ValueError, match="num_train=62 exceeds the 61 pairs of multi"):
        load_text(dataclasses.replace(DATA, num_train=62), "")


def test_data_that_is_not_prepared_names_the_command(tmp_path):
    command = rf"experiments\.prepare multi30k --data-dir {tmp_path}"
    with pytest.raises(FileNotFoundError, match=command):
        load_translation_data(DATA, str(tmp_path), tmp_path / "subwords.model")


def test_long_pairs_are_left_out_of_training_and_evaluated(stored, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="experiments")
    data = load(tmp_path)
    assert "1 of 61 pairs are left out: more than 31 tokens" in caplog.messages
    assert indices_of(data.train) == list(range(60))
    assert data.subwords.decode(data.train.pairs.sources) == NUMBERS.train.sources
    assert data.text == tuple(STORED.values())
    for split in ("validation", "test"):
        bucketed = data.evaluated[split]
        assert indices_of(bucketed) == list(range(len(STORED[split].sources)))
        targets = data.subwords.decode(bucketed.pairs.targets)
        assert targets == [line.strip() for line in STORED[split].targets]
    # The long pair has a batch of its own; the others' are those of training.
    *shapes, longest = data.evaluated["test"].buckets
    assert shapes == [*data.train.buckets] == [(6, 16), (3, 32)]
    assert longest == (1, data.evaluated["test"].pairs.lengths[0])
    assert longest.length > DATA.num_tokens


def test_a_sentence_may_be_as_long_as_the_config_says(stored, tmp_path):
    subwords = load(tmp_path).subwords
    lengths = np.max(
        [list(map(len, subwords.encode(side))) for side in STORED["train"]], axis=0
    )
    for limit in (10, 15, 20):
        expected = STORED["train"].take(np.flatnonzero(lengths <= limit).tolist())
        kept = load(tmp_path, max_length=limit).train.pairs.sources
        assert subwords.decode(kept) == expected.sources
    # What is longer than every bucket is left out, too: 16 is 15 and the end.
    short = load(tmp_path, bucket_lengths=(12, 16)).train
    assert len(short.pairs.sources) == np.sum(lengths <= 15)
    assert short.pairs.lengths.max() == 16


def test_where_all_pairs_are_too_long_there_is_no_run(stored, tmp_path):
    with pytest.raises(ValueError, match="no pair of multi30k has at most 2 tokens"):
        load(tmp_path, max_length=1)


def test_unknown_characters_are_counted(stored, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="experiments")
    data = load(tmp_path)
    message = "validation: 1 unknown tokens in 1 of 8 source sentences"
    assert [line for line in caplog.messages if "unknown" in line] == [message]
    assert UNKNOWN in data.evaluated["validation"].pairs.sources[0]


def test_the_subwords_are_those_of_both_sides_of_the_training_pairs(stored, tmp_path):
    data = load(tmp_path)
    assert len(data.subwords) == 80
    for pairs in STORED["train"]:
        assert not any(UNKNOWN in ids for ids in data.subwords.encode(pairs))


def test_a_run_keeps_the_subwords_that_it_began_with(stored, tmp_path, monkeypatch):
    model = load(tmp_path).subwords.model
    assert (tmp_path / "subwords.model").read_bytes() == model
    # As if another sentencepiece learnt other subwords.
    monkeypatch.setitem(STORED, "train", NUMBERS.train.take(range(40)))
    assert load(tmp_path).subwords.model == model
    assert (tmp_path / "subwords.model").read_bytes() == model
    (tmp_path / "subwords.model").unlink()
    assert load(tmp_path).subwords.model != model


def test_more_subwords_than_the_text_has_are_refused(stored, tmp_path):
    with pytest.raises(ValueError, match="cannot learn 9999 subwords"):
        load(tmp_path, num_subwords=9999)
    assert not list(tmp_path.iterdir())
