"""BLEU of translations: sacreBLEU's, and the one that papers on IWSLT'14 report."""

from collections.abc import Sequence
from typing import NamedTuple

from sacrebleu.metrics.bleu import BLEU

from experiments.data.moses import moses_detokenized, moses_tokenized


class Bleu(NamedTuple):
    """A corpus BLEU.

    Attributes:
        score: In [0, 100].
        signature: How it was computed, in sacreBLEU's words. Only scores with the same
            signature compare.
    """

    score: float
    signature: str


class BleuScores(NamedTuple):
    """Two scores of the same translations.

    Attributes:
        plain: Of plain text, which sacreBLEU cuts into words itself (`tok:13a`). This
            one compares across papers.
        tokenized: Of lower-case tokens of Moses, as multi-bleu.perl and fairseq count,
            without smoothing. This one stands in the paper's table.
    """

    plain: Bleu
    tokenized: Bleu


def score_text(
    hypotheses: Sequence[str], references: Sequence[str], language: str
) -> BleuScores:
    """Scores translations in plain text, with case in `plain` and without elsewhere.

    Args:
        hypotheses: The translations.
        references: One for each.
        language: The code of their language.
    """
    texts = (hypotheses, references)
    return BleuScores(
        plain=_bleu(*texts, tokenize="13a", lowercase=False, smooth_method="exp"),
        tokenized=_tokenized(*(moses_tokenized(text, language) for text in texts)),
    )


def score_tokens(
    hypotheses: Sequence[str], references: Sequence[str], language: str
) -> BleuScores:
    """Scores translations that are tokenized and lower-case, such as those of IWSLT'14.

    Their plain text is what Moses makes of the tokens, so that `plain` is no exact
    match of a score against the original references.

    Args:
        hypotheses: The translations.
        references: One for each.
        language: The code of their language.
    """
    texts = (hypotheses, references)
    plain = (moses_detokenized(text, language) for text in texts)
    return BleuScores(
        plain=_bleu(*plain, tokenize="13a", lowercase=True, smooth_method="exp"),
        tokenized=_tokenized(*texts),
    )


def _tokenized(hypotheses: Sequence[str], references: Sequence[str]) -> Bleu:
    return _bleu(
        hypotheses, references, tokenize="none", lowercase=True, smooth_method="none"
    )


def _bleu(hypotheses: Sequence[str], references: Sequence[str], **options) -> Bleu:
    """Scores with sacreBLEU.

    Raises:
        ValueError: There is nothing to score, or not one reference for each.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"{len(hypotheses)} translations and {len(references)} references"
        )
    # Forced, since sacreBLEU warns of text that looks tokenized.
    metric = BLEU(force=True, **options)
    score = metric.corpus_score(hypotheses, [references]).score
    return Bleu(score, str(metric.get_signature()))
