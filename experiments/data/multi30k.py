"""Multi30k, German to English: 31,014 descriptions of images (Elliott et al., 2016).

Task 1, raw text: neither tokenized nor lower-cased.
"""

import gzip
import hashlib
import pathlib
import zlib
from typing import Any, ClassVar, NamedTuple

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.utils import Size

from experiments.data.parallel_text import (
    aligned,
    decode_lines,
    text_examples,
    text_features,
    without_empty,
)

LANGUAGES = ("de", "en")
GZIP_MAGIC = b"\x1f\x8b"
SPLITS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
URL = (
    "https://raw.githubusercontent.com/multi30k/dataset/"
    "a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/"
)


class File(NamedTuple):
    """A file as it is published, compressed.

    Attributes:
        size: In bytes.
        sha256: Of the compressed file.
        text_sha256: Of the text in it.
    """

    size: int
    sha256: str
    text_sha256: str


FILES = {
    "train.de": File(
        637_044,
        "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
        "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    ),
    "train.en": File(
        568_929,
        "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
        "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    ),
    "val.de": File(
        24_681,
        "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
        "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    ),
    "val.en": File(
        21_650,
        "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
        "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    ),
    "test_2016_flickr.de": File(
        22_890,
        "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
        "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    ),
    "test_2016_flickr.en": File(
        21_077,
        "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
        "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    ),
}


class Multi30k(tfds.core.GeneratorBasedBuilder):
    """The pairs, from a manual folder or downloaded.

    The manual folder holds the files of the repository multi30k/dataset on GitHub, as
    they are or unpacked.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"The files are in {URL}"
    url_infos: ClassVar[dict[str, UrlInfo]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        f"{URL}{name}.gz": UrlInfo(Size(file.size), file.sha256, f"{name}.gz")
        for name, file in FILES.items()
    }

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=text_features(LANGUAGES),
            homepage="https://github.com/multi30k/dataset",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> Any:
        return {
            split: self._generate_examples(dl_manager, name)
            for split, name in SPLITS.items()
        }

    def _generate_examples(self, dl_manager: tfds.download.DownloadManager, name: str):
        sources, targets = (
            decode_lines(_text(dl_manager, file), file)
            for file in (f"{name}.{language}" for language in LANGUAGES)
        )
        pairs = without_empty(aligned(sources, targets, name), f"multi30k {name}")
        yield from text_examples(pairs, LANGUAGES)


def _text(dl_manager: tfds.download.DownloadManager, name: str) -> bytes:
    """Returns the text of a file, from the manual folder if it is there.

    Raises:
        ValueError: It is not the published text.
    """
    path = _manual_file(dl_manager, name) or dl_manager.download(f"{URL}{name}.gz")
    text = pathlib.Path(path).read_bytes()
    try:
        text = gzip.decompress(text) if text.startswith(GZIP_MAGIC) else text
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is broken: {error}") from error
    if hashlib.sha256(text).hexdigest() != FILES[name].text_sha256:
        raise ValueError(f"{path} is not the published {name}: its sha256 differs")
    return text


def _manual_file(
    dl_manager: tfds.download.DownloadManager, name: str
) -> pathlib.Path | None:
    try:
        folder = pathlib.Path(dl_manager.manual_dir)
    except AssertionError:  # what TFDS raises if it is absent or empty
        return None
    paths = (folder / name, folder / f"{name}.gz")
    return next((path for path in paths if path.exists()), None)
