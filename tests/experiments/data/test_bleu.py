import math

import pytest

from experiments.data.bleu import score_text, score_tokens

REFERENCE = "the cat sat on the mat"


def tokenized(hypotheses, references):
    return score_tokens(hypotheses, references, "en").tokenized.score


def test_precisions_by_hand():
    # One of 7 words is wrong: 6/7, 5/6, 4/5 and 3/4 of the n-grams are right.
    expected = 100 * (6 / 7 * 5 / 6 * 4 / 5 * 3 / 4) ** (1 / 4)
    assert tokenized([REFERENCE + " today"], [REFERENCE]) == pytest.approx(expected)


def test_a_short_translation_is_punished_by_hand():
    expected = 100 * math.exp(1 - 6 / 4)
    assert tokenized(["the cat sat on"], [REFERENCE]) == pytest.approx(expected)


def test_counts_are_pooled_over_the_corpus_by_hand():
    # 6 + 1 of 6 + 5 words, 5 of 9, 4 of 7 and 3 of 5; lengths 11 and 12.
    hypotheses = [REFERENCE, "a dog ran off home"]
    references = [REFERENCE, "one dog walked to the park"]
    expected = 7 / 11 * 5 / 9 * 4 / 7 * 3 / 5
    expected = 100 * math.exp(1 - 12 / 11) * expected ** (1 / 4)
    assert tokenized(hypotheses, references) == pytest.approx(expected)


def test_tokenized_counts_are_not_smoothed():
    assert tokenized(["the mat sat"], [REFERENCE]) == 0


def test_signatures_say_what_was_scored():
    text = score_text([REFERENCE], [REFERENCE], "en")
    tokens = score_tokens([REFERENCE], [REFERENCE], "en")
    assert "case:mixed|eff:no|tok:13a|smooth:exp" in text.plain.signature
    assert "case:lc|eff:no|tok:13a|smooth:exp" in tokens.plain.signature
    assert "case:lc|eff:no|tok:none|smooth:none" in tokens.tokenized.signature
    assert tokens.tokenized.signature == text.tokenized.signature


def test_case_counts_in_plain_text_alone():
    scores = score_text(["The cat, it sat."], ["the cat, it sat."], "en")
    assert scores.tokenized.score == pytest.approx(100)
    # 5 of 6 tokens are right, and 4 of 5, 3 of 4 and 2 of 3 n-grams.
    expected = 100 * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** (1 / 4)
    assert scores.plain.score == pytest.approx(expected)


def test_text_and_its_tokens_have_the_same_tokenized_score():
    text = score_text(["It's a cat, isn't it?"], ["It's a dog, isn't it?"], "en")
    tokens = score_tokens(
        ["it &apos;s a cat , isn &apos;t it ?"],
        ["it &apos;s a dog , isn &apos;t it ?"],
        "en",
    )
    assert text.tokenized == tokens.tokenized
    assert 0 < tokens.plain.score < 100


@pytest.mark.parametrize("hypotheses", [[], ["one"], ["one", "two", "three"]])
def test_every_translation_needs_its_reference(hypotheses):
    with pytest.raises(ValueError, match=f"{len(hypotheses)} translations and"):
        score_text(hypotheses, ["one", "two"][: 2 * len(hypotheses)], "en")
