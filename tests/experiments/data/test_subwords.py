import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.data.numbers import number_pairs
from experiments.data.special_tokens import BEGIN, END, PADDING, UNKNOWN
from experiments.data.subwords import Subwords, kept_subwords, train_subwords

PAIRS = number_pairs(0, num_train=500, num_validation=0, num_test=100)
SENTENCES = [*PAIRS.train.sources, *PAIRS.train.targets]
VOCAB_SIZE = 120
MODEL = train_subwords(SENTENCES, VOCAB_SIZE)
SUBWORDS = Subwords(MODEL)


def test_the_most_frequent_pair_is_merged_first():
    # The 4 special ids, the characters ▁ (before a word) a b x y z, and one merge: "ab"
    # comes three times, every other pair once.
    subwords = Subwords(train_subwords(["xab yab zab"], 11))
    lengths = [len(ids) for ids in subwords.encode(["xab", "abab", "xba"])]
    assert lengths == [len(["▁", "x", "ab"]), len(["▁", "ab", "ab"]), len("▁xba")]


def test_special_ids():
    assert (PADDING, BEGIN, END, UNKNOWN) == (0, 1, 2, 3)
    assert len(SUBWORDS) == VOCAB_SIZE
    ids = np.concatenate(SUBWORDS.encode(PAIRS.test.sources))
    assert ids.dtype == np.int32
    assert ids.min() > UNKNOWN
    assert ids.max() < VOCAB_SIZE


@pytest.mark.parametrize("sentences", [PAIRS.test.sources, PAIRS.test.targets])
def test_decoding_undoes_encoding(sentences):
    assert SUBWORDS.decode(SUBWORDS.encode(sentences)) == sentences


@given(st.text(st.sampled_from([*"einszwü-", " ", "\t", "\u00a0"])))
def test_only_white_space_is_normalized(sentence):
    (decoded,) = SUBWORDS.decode(SUBWORDS.encode([sentence]))
    assert decoded == " ".join(sentence.split())


def test_the_text_is_not_normalized():
    # Compatibility normalization would make "..." and "1/2" of these.
    sentence = "… ½ ﬁ"
    subwords = Subwords(train_subwords([sentence], 9))
    assert subwords.decode(subwords.encode([sentence])) == [sentence]


def test_characters_that_training_lacks_are_unknown():
    known, unknown = SUBWORDS.encode(["eins", "eins 漢字 eins"])
    assert np.sum(unknown == UNKNOWN) == 1
    assert UNKNOWN not in known
    assert "⁇" in SUBWORDS.decode([unknown])[0]


def test_a_sentence_ends_at_its_first_end():
    (ids,) = SUBWORDS.encode(["zwei"])
    rows = [
        np.concatenate([[BEGIN], ids, [END, PADDING, PADDING]]),
        np.concatenate([ids, [END], ids]),
        ids,
        np.array([END, 7]),
        np.array([], np.int32),
    ]
    assert SUBWORDS.decode(rows) == ["zwei", "zwei", "zwei", "", ""]


def test_long_lines_are_learnt_from():
    subwords = Subwords(train_subwords(["ab " * 5000 + "z"], 9))
    (ids,) = subwords.encode(["z"])
    assert UNKNOWN not in ids


def test_training_is_deterministic():
    assert train_subwords(SENTENCES, VOCAB_SIZE) == MODEL


@pytest.mark.parametrize("vocab_size", [10, 100_000])
def test_an_impossible_size_is_refused(vocab_size):
    with pytest.raises(ValueError, match=f"cannot learn {vocab_size} subwords"):
        train_subwords(SENTENCES, vocab_size)


def test_the_model_is_kept_and_not_learnt_again(tmp_path):
    path = tmp_path / "subwords.model"
    assert kept_subwords(path, SENTENCES, VOCAB_SIZE).model == MODEL
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    again = kept_subwords(path, ["other sentences"], VOCAB_SIZE)
    assert again.model == MODEL


def test_a_kept_model_of_another_size_is_refused(tmp_path):
    path = tmp_path / "subwords.model"
    kept_subwords(path, SENTENCES, VOCAB_SIZE)
    with pytest.raises(ValueError, match=f"has {VOCAB_SIZE} subwords, not 121"):
        kept_subwords(path, SENTENCES, 121)


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_a_broken_model_is_refused(tmp_path, content):
    path = tmp_path / "subwords.model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"subwords.model: .*no sentencepiece model"):
        kept_subwords(path, SENTENCES, VOCAB_SIZE)
