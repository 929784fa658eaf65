import pytest

from experiments.data.numbers import LIMIT, english, german, number_pairs

# Spellings as dictionaries print them (Duden; Merriam-Webster), with "ein" before
# "hundert" and "tausend" and without "and".
PUBLISHED = {
    0: ("null", "zero"),
    1: ("eins", "one"),
    6: ("sechs", "six"),
    12: ("zwölf", "twelve"),
    16: ("sechzehn", "sixteen"),
    17: ("siebzehn", "seventeen"),
    18: ("achtzehn", "eighteen"),
    21: ("einundzwanzig", "twenty-one"),
    30: ("dreißig", "thirty"),
    40: ("vierzig", "forty"),
    66: ("sechsundsechzig", "sixty-six"),
    77: ("siebenundsiebzig", "seventy-seven"),
    100: ("einhundert", "one hundred"),
    101: ("einhunderteins", "one hundred one"),
    111: ("einhundertelf", "one hundred eleven"),
    700: ("siebenhundert", "seven hundred"),
    1000: ("eintausend", "one thousand"),
    1101: ("eintausendeinhunderteins", "one thousand one hundred one"),
    6016: ("sechstausendsechzehn", "six thousand sixteen"),
    21000: ("einundzwanzigtausend", "twenty-one thousand"),
    101001: ("einhunderteintausendeins", "one hundred one thousand one"),
    777777: (
        "siebenhundertsiebenundsiebzigtausendsiebenhundertsiebenundsiebzig",
        "seven hundred seventy-seven thousand seven hundred seventy-seven",
    ),
}


def value_of_english(words: str) -> int:
    """Reads English number words by the value of each, in any range below a million."""
    values = {english(n): n for n in [*range(20), *range(20, 100, 10)]}
    total = group = 0
    for word in words.replace("-", " ").split():
        if word == "thousand":
            total, group = 1000 * group, 0
        elif word == "hundred":
            group *= 100
        else:
            group += values[word]
    return total + group


@pytest.mark.parametrize(("number", "words"), PUBLISHED.items())
def test_published_spellings(number, words):
    assert (german(number), english(number)) == words


def test_every_number_has_words_of_its_own():
    numbers = range(LIMIT)
    assert len({german(number) for number in numbers}) == LIMIT
    assert len({english(number) for number in numbers}) == LIMIT


def test_english_words_say_their_number():
    for number in [*range(2000), *range(2000, LIMIT, 997), LIMIT - 1]:
        assert value_of_english(english(number)) == number


@pytest.mark.parametrize("spell", [german, english])
@pytest.mark.parametrize("number", [-1, LIMIT])
def test_other_numbers_have_no_words(spell, number):
    with pytest.raises(ValueError, match="words for 0 to 999999"):
        spell(number)


def test_parts_are_pairs_of_numbers_none_of_which_comes_twice():
    splits = number_pairs(0, num_train=7000, num_validation=2000, num_test=1000)
    assert [len(part.sources) for part in splits] == [7000, 2000, 1000]
    pairs = [pair for part in splits for pair in zip(*part, strict=True)]
    numbers = [value_of_english(words) for _, words in pairs]
    assert len(set(numbers)) == 10_000
    assert pairs == [(german(n), english(n)) for n in numbers]


def test_parts_are_a_function_of_seed_and_sizes():
    sizes = {"num_train": 50, "num_validation": 20, "num_test": 30}
    first, again, other = (number_pairs(seed, **sizes) for seed in (0, 0, 1))
    assert first == again
    assert not set(first.test.sources) & set(other.test.sources)


def test_the_test_part_does_not_depend_on_the_others():
    small = number_pairs(0, num_train=10, num_validation=5, num_test=8)
    large = number_pairs(0, num_train=1000, num_validation=5, num_test=8)
    assert small.test == large.test
    assert small.validation == large.validation
    assert large.train.sources[:10] == small.train.sources


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((LIMIT - 1, 1, 1), "cannot draw 999999 \\+ 1 \\+ 1 of 1000000"),
        ((-1, 0, 0), "cannot draw -1"),
    ],
)
def test_impossible_sizes_are_refused(sizes, message):
    train, validation, test = sizes
    with pytest.raises(ValueError, match=message):
        number_pairs(0, num_train=train, num_validation=validation, num_test=test)
