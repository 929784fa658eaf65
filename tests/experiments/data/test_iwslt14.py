"""On a tiny archive with the layout of the official one, made on the spot."""

import io
import logging
import tarfile

import pytest
import tensorflow_datasets as tfds

from experiments import prepare
from experiments.data import iwslt14
from experiments.data.sentences import SentencePairs
from experiments.data.source import load_sentences
from tests.experiments.data.prepared import find_prepared

HEADER = (
    "<url>http://www.ted.com/talks/{talk}</url>\n"
    "<keywords>talks, {talk}</keywords>\n"
    "<talkid>{talk}</talkid>\n"
    "<title>{title}</title>\n"
    "<description>{description}</description>\n"
)
GERMAN = [f"Das ist Satz Nummer {n}, nicht wahr?\u2028" for n in range(50)]
ENGLISH = [f"That's sentence number {n}, isn't it?" for n in range(50)]
# Left out for the ratio, the length and an empty side.
GERMAN += ["Ja.", "Wort " * 176, "", " Wort" * 175]
ENGLISH += ["Yes, of course.", "word " * 176, "Nothing.", " word" * 175]

SEGMENTS = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<mteval>\n<doc docid="1">\n'
    "<title>A title</title>\n{segments}\n</doc>\n</mteval>\n"
)


def train_file(lines, title, description):
    header = HEADER.format(talk=1, title=title, description=description)
    return header + "".join(f"{line}\n" for line in lines)


def xml_file(test_set, language):
    segments = (
        f'<seg id="{n}"> {test_set}\u2019s {language} {n} </seg>' for n in (1, 2)
    )
    return SEGMENTS.format(segments="\n".join(segments))


def make_files() -> dict[str, str]:
    """Returns the texts of the archive, by their names."""
    files = {
        "train.tags.de-en.de": train_file(GERMAN, "Ein Titel", "TED Talk: Eine Rede."),
        "train.tags.de-en.en": train_file(ENGLISH, "A title", "TED Talk: A speech."),
        "README": "Not needed.",
    }
    for test_set in iwslt14.TEST_SETS:
        for language in iwslt14.LANGUAGES:
            name = f"IWSLT14.{test_set}.de-en.{language}.xml"
            files[name] = xml_file(test_set, language)
    return files


def pack(files: dict[str, bytes], folder: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def make_archive(files: dict[str, str]) -> bytes:
    return pack({name: text.encode() for name, text in files.items()}, "de-en")


def read(data_dir, split) -> set[tuple[str, str]]:
    pairs = load_sentences("iwslt14_de_en", split, data_dir, source="de", target="en")
    return set(zip(*pairs, strict=True))


def sentence(n: int) -> tuple[str, str]:
    return (
        f"das ist satz nummer {n} , nicht wahr ?",
        f"that &apos;s sentence number {n} , isn &apos;t it ?",
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    (data_dir / "de-en.tgz").write_bytes(make_archive(make_files()))
    prepare.prepare(iwslt14.Iwslt14DeEn(data_dir=data_dir), data_dir)
    return data_dir


def test_training_sentences_are_cleaned_tokens_in_lower_case(data_dir):
    # Title and description come before the sentences: line 23 is sentence 20.
    expected = {sentence(n) for n in range(50) if n not in (20, 43)}
    expected |= {
        ("ein titel", "a title"),
        ("ted talk : eine rede .", "ted talk : a speech ."),
        (" ".join(["wort"] * 175), " ".join(["word"] * 175)),
    }
    assert read(data_dir, "train") == expected


def test_every_23rd_sentence_is_for_validation(data_dir):
    assert read(data_dir, "validation") == {sentence(20), sentence(43)}


def test_all_test_sets_are_the_test_split(data_dir):
    assert read(data_dir, "test") == {
        (f"{name} &apos; s de {n}", f"{name} &apos;s en {n}")
        for name in (test_set.lower() for test_set in iwslt14.TEST_SETS)
        for n in (1, 2)
    }


def test_what_cleaning_leaves_out_is_counted(caplog):
    pairs = SentencePairs(["a b", "a b", "a"], ["c d e", "c d e f", ""])
    with caplog.at_level(logging.INFO, logger="experiments"):
        assert iwslt14.cleaned(pairs) == SentencePairs(["a b"], ["c d e"])
    (message,) = caplog.messages
    assert "2 of 3 pairs are left out" in message


def test_the_bundle_holds_the_archive(tmp_path):
    files = make_files()
    inner = {"de-en.tgz": make_archive(files), "README": b""}
    bundle = pack(inner, "2014-01/texts/de/en")
    (tmp_path / "2014-01.tgz").write_bytes(bundle)
    texts = iwslt14.read_archive(tmp_path)
    assert texts == {
        name: text.encode() for name, text in files.items() if name != "README"
    }


@pytest.mark.parametrize("name", ["de-en.tgz", "2014-01.tgz"])
def test_an_archive_without_a_file_is_refused(tmp_path, name):
    files = make_files()
    del files["IWSLT14.TED.tst2011.de-en.en.xml"]
    (tmp_path / name).write_bytes(make_archive(files))
    with pytest.raises(ValueError, match=r"lacks .*IWSLT14\.TED\.tst2011\.de-en\.en"):
        iwslt14.read_archive(tmp_path)


@pytest.mark.parametrize("share", [0, 0.1, 0.5])
def test_a_truncated_archive_is_refused(tmp_path, share):
    archive = make_archive(make_files())
    (tmp_path / "de-en.tgz").write_bytes(archive[: int(share * len(archive))])
    with pytest.raises(ValueError, match=r"de-en\.tgz is broken"):
        iwslt14.read_archive(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train.tags.de-en.en", "train.tags: 56 source lines and 57 target lines"),
        ("IWSLT14.TED.tst2010.de-en.en.xml", "tst2010: 2 source lines and 3 target"),
    ],
)
def test_misaligned_files_are_refused(tmp_path, name, message):
    files = make_files()
    files[name] += '<seg id="3">One more.</seg>\n'
    (tmp_path / "de-en.tgz").write_bytes(make_archive(files))
    with pytest.raises(ValueError, match=message):
        prepare.prepare(iwslt14.Iwslt14DeEn(data_dir=tmp_path), tmp_path)


def test_a_missing_archive_is_an_error_that_says_what_to_fetch(tmp_path):
    options = prepare.Options("iwslt14_de_en", tmp_path / "data", tmp_path / "manual")
    with pytest.raises(SystemExit) as error:
        prepare.main(options)
    message = str(error.value)
    assert f"no de-en.tgz or 2014-01.tgz in {tmp_path / 'manual'}" in message
    assert "http://dl.fbaipublicfiles.com/fairseq/data/iwslt14/" in message
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(find_prepared("iwslt14_de_en") is None, reason="not prepared")
def test_the_published_counts():
    splits = tfds.builder("iwslt14_de_en", data_dir=find_prepared("iwslt14_de_en"))
    counts = {name: split.num_examples for name, split in splits.info.splits.items()}
    assert counts == {"train": 160_239, "validation": 7283, "test": 6750}
