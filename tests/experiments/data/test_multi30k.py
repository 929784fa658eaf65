import gzip
import hashlib
import logging
import pathlib

import pytest
import requests
from etils import epath
from tensorflow_datasets.core.download import downloader, resource
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.utils import Size

from experiments import prepare
from experiments.data import multi30k
from experiments.data.source import load_sentences
from tests.experiments.data.prepared import find_prepared

TEXTS = {
    "train.de": "Zwei Hunde.\nEin Mädchen läuft.\nÄpfel.\n",
    "train.en": "Two dogs.\nA girl runs.\nApples.\n",
    "val.de": "Ein Haus.\n",
    "val.en": "A house.\n",
    "test_2016_flickr.de": "Ein Baum.\nEine Katze.\n",
    "test_2016_flickr.en": "A tree.\nA cat.\n",
}


def offline(*args, **kwargs):
    raise requests.ConnectionError("no network")


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Makes other texts the published ones, and puts them in a manual folder."""
    monkeypatch.setattr(requests, "head", offline)
    manual = tmp_path / "manual"
    manual.mkdir()

    def write(texts: dict[str, str], *, unpacked: bool = False) -> pathlib.Path:
        files = {}
        for name, text in texts.items():
            packed = gzip.compress(text.encode())
            path = manual / (name if unpacked else f"{name}.gz")
            path.write_bytes(text.encode() if unpacked else packed)
            digests = (hashlib.sha256(x).hexdigest() for x in (packed, text.encode()))
            files[name] = multi30k.File(len(packed), *digests)
        monkeypatch.setattr(multi30k, "FILES", files)
        url_infos = {
            f"{multi30k.URL}{name}.gz": UrlInfo(
                Size(file.size), file.sha256, f"{name}.gz"
            )
            for name, file in files.items()
        }
        monkeypatch.setattr(multi30k.Multi30k, "url_infos", url_infos)
        return manual

    return write


def read(data_dir, split, source="de", target="en") -> list[tuple[str, str]]:
    pairs = load_sentences("multi30k", split, data_dir, source=source, target=target)
    return sorted(zip(*pairs, strict=True))


@pytest.mark.parametrize("unpacked", [False, True])
def test_pairs_come_back_as_they_stand_in_the_files(publish, tmp_path, unpacked):
    manual = publish(TEXTS, unpacked=unpacked)
    prepare.prepare(multi30k.Multi30k(data_dir=tmp_path), manual)
    assert read(tmp_path, "validation") == [("Ein Haus.", "A house.")]
    assert read(tmp_path, "train") == [
        ("Ein Mädchen läuft.", "A girl runs."),
        ("Zwei Hunde.", "Two dogs."),
        ("Äpfel.", "Apples."),
    ]
    assert read(tmp_path, "test", source="en", target="de") == [
        ("A cat.", "Eine Katze."),
        ("A tree.", "Ein Baum."),
    ]


def test_a_download_is_read_like_a_file_in_the_manual_folder(
    publish, tmp_path, monkeypatch
):
    manual = publish(TEXTS)
    downloads = tmp_path / "downloads" / "multi30k"
    downloads.mkdir(parents=True)
    for url, info in multi30k.Multi30k.url_infos.items():
        path = epath.Path(downloads / resource.get_dl_fname(url, info.checksum))
        (manual / str(info.filename)).rename(path)
        resource.write_info_file(url, path, "multi30k", path.name, info)
    monkeypatch.setattr(downloader, "MAX_RETRIES", 1)
    prepare.prepare(multi30k.Multi30k(data_dir=tmp_path), manual)
    assert read(tmp_path, "validation") == [("Ein Haus.", "A house.")]


def test_missing_files_are_named(publish, tmp_path):
    manual = publish(TEXTS)
    (manual / "val.en.gz").unlink()
    with pytest.raises(ConnectionError) as error:
        prepare.prepare(multi30k.Multi30k(data_dir=tmp_path), manual)
    assert f"cannot download {multi30k.URL}val.en.gz; " in str(error.value)
    assert str(manual) in str(error.value)


def test_an_altered_file_is_refused(publish, tmp_path):
    manual = publish(TEXTS, unpacked=True)
    (manual / "val.en").write_text("A hovel.\n")
    with pytest.raises(ValueError, match=r"is not the published val\.en: its sha256"):
        prepare.prepare(multi30k.Multi30k(data_dir=tmp_path), manual)


def test_a_truncated_file_is_refused(publish, tmp_path):
    path = publish(TEXTS) / "val.en.gz"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"val\.en\.gz is broken"):
        prepare.prepare(multi30k.Multi30k(data_dir=tmp_path), path.parent)


def test_misaligned_files_are_refused(publish, tmp_path):
    manual = publish(TEXTS | {"val.en": "A house.\nA garden.\n"})
    with pytest.raises(ValueError, match="val: 1 source lines and 2 target lines"):
        prepare.prepare(multi30k.Multi30k(data_dir=tmp_path), manual)


def test_empty_lines_are_counted(publish, tmp_path, caplog):
    manual = publish(TEXTS | {"test_2016_flickr.en": "\nA cat.\n"})
    with caplog.at_level(logging.INFO, logger="experiments"):
        prepare.prepare(multi30k.Multi30k(data_dir=tmp_path), manual)
    message = "multi30k test_2016_flickr: 1 of 2 pairs are left out: an empty line"
    assert message in caplog.messages
    assert read(tmp_path, "test") == [("Eine Katze.", "A cat.")]


def test_offline_the_command_says_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setattr(requests, "head", offline)
    options = prepare.Options("multi30k", data_dir=tmp_path)
    with pytest.raises(SystemExit, match=r"error: cannot download .*train\.de\.gz"):
        prepare.main(options)


@pytest.mark.skipif(find_prepared("multi30k") is None, reason="not prepared")
def test_the_published_counts():
    counts = {
        split: len(read(find_prepared("multi30k"), split))
        for split in ("train", "validation", "test")
    }
    assert counts == {"train": 29_000, "validation": 1014, "test": 1000}
