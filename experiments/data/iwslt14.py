"""IWSLT'14, German to English: transcripts of TED talks (Cettolo et al., 2014).

Tokenized and lower-case, prepared like fairseq's prepare-iwslt14.sh, whose data most
papers use: 160,239 pairs for training, 7,283 for validation and 6,750 for the test.
"""

import gzip
import io
import logging
import pathlib
import re
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from typing import IO, Any, cast

import tensorflow_datasets as tfds

from experiments.data.parallel_text import (
    aligned,
    decode_lines,
    text_examples,
    text_features,
)
from experiments.data.sentences import SentencePairs

logger = logging.getLogger(__name__)

LANGUAGES = ("de", "en")
ARCHIVE = "de-en.tgz"
BUNDLE = "2014-01.tgz"
ARCHIVE_IN_BUNDLE = "texts/de/en/de-en.tgz"

TEST_SETS = ("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012")
TRAIN_FILE = "train.tags.de-en.{language}"
TEST_FILE = "IWSLT14.{test_set}.de-en.{language}.xml"
NEEDED = tuple(
    template.format(test_set=test_set, language=language)
    for template, test_sets in ((TRAIN_FILE, ("",)), (TEST_FILE, TEST_SETS))
    for test_set in test_sets
    for language in LANGUAGES
)

DROPPED_TAGS = ("<url>", "<talkid>", "<keywords>")
REMOVED_TAGS = re.compile("</?(?:title|description)>")
SEGMENT_TAGS = re.compile(r'<seg id="[0-9]*">\s*|\s*</seg>\s*')

MAX_TOKENS = 175
MAX_RATIO = 1.5
VALIDATION_EVERY = 23


class Iwslt14DeEn(tfds.core.GeneratorBasedBuilder):
    """The pairs, from the official archive in the manual folder."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Fetch {ARCHIVE} from http://dl.fbaipublicfiles.com/fairseq/data/iwslt14/ "
        f"(19,982,877 bytes), or {BUNDLE} from https://wit3.fbk.eu/2014-01"
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=text_features(LANGUAGES),
            homepage="https://wit3.fbk.eu/2014-01",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> Any:
        files = read_archive(pathlib.Path(dl_manager.manual_dir))
        train, validation = split_validation(cleaned(training_pairs(files)))
        parts = {"train": train, "validation": validation, "test": test_pairs(files)}
        return {split: self._generate_examples(pairs) for split, pairs in parts.items()}

    def _generate_examples(self, pairs: SentencePairs):
        yield from text_examples(pairs, LANGUAGES)


def read_archive(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns the files of the archive, or of the one in the bundle, by their names.

    Raises:
        FileNotFoundError: There is neither.
        ValueError: The archive is broken or lacks a file.
    """
    path = folder / ARCHIVE
    path = path if path.exists() else folder / BUNDLE
    try:
        with path.open("rb") as file:
            if path.name == ARCHIVE:
                files = _read_files(file, NEEDED)
            else:
                archive = _read_files(file, (ARCHIVE_IN_BUNDLE,)).get(ARCHIVE)
                files = _read_files(io.BytesIO(archive), NEEDED) if archive else {}
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is broken: {error}") from error
    if missing := [name for name in NEEDED if name not in files]:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    return files


def training_pairs(files: Mapping[str, bytes]) -> SentencePairs:
    """Returns the tokens of the training talks, titles and descriptions included.

    Of the lines that describe a talk, three kinds are dropped. As in the script, those
    with any other tag stay, with the tag.
    """

    def tokens(language: str) -> list[str]:
        name = TRAIN_FILE.format(language=language)
        lines = decode_lines(files[name], name)
        text = (line for line in lines if not any(tag in line for tag in DROPPED_TAGS))
        return _tokens((REMOVED_TAGS.sub("", line) for line in text), language)

    sources, targets = map(tokens, LANGUAGES)
    return aligned(sources, targets, "train.tags")


def test_pairs(files: Mapping[str, bytes]) -> SentencePairs:
    """Returns the tokens of all test sets, one after another; nothing is left out."""

    def tokens(test_set: str, language: str) -> list[str]:
        name = TEST_FILE.format(test_set=test_set, language=language)
        lines = decode_lines(files[name], name)
        text = (SEGMENT_TAGS.sub("", line) for line in lines if "<seg id" in line)
        return _tokens((line.replace("\u2019", "'") for line in text), language)

    pairs = SentencePairs([], [])
    for test_set in TEST_SETS:
        sources, targets = (tokens(test_set, language) for language in LANGUAGES)
        part = aligned(sources, targets, test_set)
        pairs = SentencePairs(
            [*pairs.sources, *part.sources], [*pairs.targets, *part.targets]
        )
    return pairs


def cleaned(pairs: SentencePairs) -> SentencePairs:
    """Leaves out pairs by the rules of Moses' clean-corpus-n.perl, and logs how many.

    These are pairs with an empty side, with more than `MAX_TOKENS` on a side, and with
    more than `MAX_RATIO` times as many tokens on one side as on the other.
    """
    kept = []
    for index, sides in enumerate(zip(*pairs, strict=True)):
        shorter, longer = sorted(len(side.split()) for side in sides)
        if shorter and longer <= min(MAX_TOKENS, MAX_RATIO * shorter):
            kept.append(index)
    logger.info(
        "iwslt14 train: %d of %d pairs are left out: empty, too long or too unequal",
        len(pairs.sources) - len(kept),
        len(pairs.sources),
    )
    return pairs.take(kept)


def split_validation(pairs: SentencePairs) -> tuple[SentencePairs, SentencePairs]:
    """Returns the pairs for training, and every 23rd for validation."""
    places = range(len(pairs.sources))
    last = VALIDATION_EVERY - 1
    return (
        pairs.take([place for place in places if place % VALIDATION_EVERY != last]),
        pairs.take(places[last::VALIDATION_EVERY]),
    )


def _tokens(lines: Iterable[str], language: str) -> list[str]:
    # A second to import, and needed to prepare alone.
    from experiments.data.moses import moses_tokenized

    return [line.lower() for line in moses_tokenized(lines, language)]


def _read_files(file: IO[bytes], wanted: tuple[str, ...]) -> dict[str, bytes]:
    """Returns the files of a compressed archive whose paths end as wanted, by name."""
    with tarfile.open(fileobj=file) as tar:
        return {
            member.name.split("/")[-1]: cast(IO[bytes], tar.extractfile(member)).read()
            for member in tar
            if member.isfile() and member.name.endswith(wanted)
        }
