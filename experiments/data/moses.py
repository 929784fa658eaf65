"""Words cut from sentences, and joined again, as the Moses scripts do it.

sacremoses is their port to Python: it agrees with tokenizer.perl on every one of the
62,028 sentences of Multi30k. Like the script it writes `&apos;` for an apostrophe, and
so on for the characters that mean something in XML.
"""

from collections.abc import Iterable

from sacremoses import MosesDetokenizer, MosesTokenizer


def moses_tokenized(sentences: Iterable[str], language: str) -> list[str]:
    """Returns the sentences with a space between tokens.

    Args:
        sentences: Plain text.
        language: A code such as "de", which decides on abbreviations and apostrophes.
    """
    tokenizer = MosesTokenizer(language)
    return [str(tokenizer.tokenize(line, return_str=True)) for line in sentences]


def moses_detokenized(sentences: Iterable[str], language: str) -> list[str]:
    """Returns plain text of what `moses_tokenized` made, as well as can be told."""
    detokenizer = MosesDetokenizer(language)
    return [str(detokenizer.detokenize(line.split())) for line in sentences]
