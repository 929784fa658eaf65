"""Number words, German and English: a translation task that needs no download.

The languages differ in word order ("einundzwanzig" is one-and-twenty), in how words are
joined and in the names of the tens, so that a net must align and reorder. Every number
has exactly one spelling in each language: German says "ein" before "hundert" and
"tausend", English leaves out "and".
"""

from typing import NamedTuple

import numpy as np

from experiments.data.sentences import SentencePairs

LIMIT = 1_000_000

# fmt: off
GERMAN_SMALL = (
    "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun",
    "zehn", "elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn",
    "achtzehn", "neunzehn",
)
GERMAN_TENS = (
    "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig",
    "neunzig",
)
ENGLISH_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
    "seventeen", "eighteen", "nineteen",
)
ENGLISH_TENS = (
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)
# fmt: on


class NumberSplits(NamedTuple):
    """Three parts, no number in two of them."""

    train: SentencePairs
    validation: SentencePairs
    test: SentencePairs


def number_pairs(
    seed: int,
    *,
    num_train: int,
    num_validation: int,
    num_test: int,
) -> NumberSplits:
    """Draws numbers without replacement and spells them in German and in English.

    Args:
        seed: The parts are the same for the same seed and sizes. The test part does not
            depend on the sizes of the others, nor the validation part on that of the
            training part.
        num_train: The number of training pairs.
        num_validation: The number of validation pairs.
        num_test: The number of test pairs.

    Returns:
        The parts, German to English.

    Raises:
        ValueError: There are not so many numbers with words here.
    """
    sizes = (num_test, num_validation, num_train)
    if min(sizes) < 0 or sum(sizes) > LIMIT:
        raise ValueError(
            f"cannot draw {num_train} + {num_validation} + {num_test} of {LIMIT}"
        )
    order = np.random.default_rng(seed).permutation(LIMIT)[: sum(sizes)].tolist()
    test, rest = order[:num_test], order[num_test:]
    validation, train = rest[:num_validation], rest[num_validation:]
    return NumberSplits(_pairs(train), _pairs(validation), _pairs(test))


def german(number: int) -> str:
    """Spells a number in [0, 1,000,000) in German, as one word."""
    thousands, rest = divmod(_checked(number), 1000)
    if not thousands:
        return _german_below_1000(rest, one="eins")
    head = _german_below_1000(thousands, one="ein") + "tausend"
    return head + _german_below_1000(rest, one="eins") if rest else head


def english(number: int) -> str:
    """Spells a number in [0, 1,000,000) in English, with hyphens from 21 to 99."""
    thousands, rest = divmod(_checked(number), 1000)
    if not thousands:
        return _english_below_1000(rest)
    head = _english_below_1000(thousands) + " thousand"
    return f"{head} {_english_below_1000(rest)}" if rest else head


def _pairs(numbers: list[int]) -> SentencePairs:
    return SentencePairs(
        [german(number) for number in numbers], [english(number) for number in numbers]
    )


def _checked(number: int) -> int:
    if not 0 <= number < LIMIT:
        raise ValueError(f"there are words for 0 to {LIMIT - 1}, not for {number}")
    return number


def _german_below_1000(number: int, *, one: str) -> str:
    """Spells a number, with "eins" at the end of a word and "ein" before another."""
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _german_below_100(rest, one=one)
    head = _german_below_100(hundreds, one="ein") + "hundert"
    return head + _german_below_100(rest, one=one) if rest else head


def _german_below_100(number: int, *, one: str) -> str:
    if number == 1:
        return one
    if number < 20:
        return GERMAN_SMALL[number]
    tens, unit = divmod(number, 10)
    word = GERMAN_TENS[tens - 2]
    return f"{_german_below_100(unit, one='ein')}und{word}" if unit else word


def _english_below_1000(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _english_below_100(rest)
    head = ENGLISH_SMALL[hundreds] + " hundred"
    return f"{head} {_english_below_100(rest)}" if rest else head


def _english_below_100(number: int) -> str:
    if number < 20:
        return ENGLISH_SMALL[number]
    tens, unit = divmod(number, 10)
    word = ENGLISH_TENS[tens - 2]
    return f"{word}-{ENGLISH_SMALL[unit]}" if unit else word
