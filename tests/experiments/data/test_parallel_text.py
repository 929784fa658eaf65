import logging

import pytest

from experiments.data.parallel_text import aligned, decode_lines, without_empty
from experiments.data.sentences import SentencePairs


@pytest.mark.parametrize("content", ["eins\nzwei\n", "eins\nzwei", "eins\r\nzwei\r\n"])
def test_lines_end_as_on_any_system(content):
    assert decode_lines(content.encode(), "train.de") == ["eins", "zwei"]


def test_nothing_else_ends_a_line():
    # What str.splitlines splits at, and transcripts of talks hold.
    lines = ["a\u2028b", "c\x85d\x0ce", "", "f\rg"]
    assert decode_lines("\n".join(lines).encode(), "train.de") == lines


def test_other_encodings_are_refused():
    with pytest.raises(ValueError, match=r"train\.de is not UTF-8"):
        decode_lines("fünf".encode("latin-1"), "train.de")


def test_misaligned_files_are_refused():
    with pytest.raises(ValueError, match="val: 2 source lines and 1 target lines"):
        aligned(["eins", "zwei"], ["one"], "val")


def test_empty_lines_are_counted(caplog):
    pairs = SentencePairs(["eins", "", "drei", "vier"], ["one", "two", " \t", "four"])
    with caplog.at_level(logging.INFO):
        kept = without_empty(pairs, "train")
        assert without_empty(kept, "train") == kept
    assert kept == SentencePairs(["eins", "vier"], ["one", "four"])
    assert caplog.messages == ["train: 2 of 4 pairs are left out: an empty line"]
