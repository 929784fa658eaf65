"""Prepares a data set for reading without TensorFlow.

    python -m experiments.prepare cifar10 --data-dir ~/tensorflow_datasets

TFDS downloads the data set, checks it and writes it as array_record. What is prepared
already is left alone, and a file in the manual folder is taken instead of a download: a
machine without a network needs one of the two. TFDS's own code for images uses
TensorFlow while it prepares: `pip install 'asam_jax[tensorflow]'`. ImageNet, which must
be requested at image-net.org, and IWSLT'14 are taken from the manual folder alone; if
they are not there, the error says what to fetch.
"""

import dataclasses
import importlib.util
import logging
import pathlib
import sys
from typing import Literal

import requests
import tensorflow_datasets as tfds
import tyro
from etils import epath
from tensorflow_datasets.core.download import resource
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

# TFDS finds a builder by its name once it is imported.
from experiments.data import iwslt14, multi30k  # noqa: F401

# Archives that TFDS does not download: one of each group.
MANUAL_FILES = {
    "imagenet2012": (("ILSVRC2012_img_train.tar",), ("ILSVRC2012_img_val.tar",)),
    "iwslt14_de_en": ((iwslt14.ARCHIVE, iwslt14.BUNDLE),),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to prepare, and where."""

    name: tyro.conf.Positional[
        Literal[
            "cifar10",
            "cifar100",
            "imagenet2012",
            "iwslt14_de_en",
            "multi30k",
        ]
    ]
    """The data set."""
    data_dir: pathlib.Path | None = None
    """Where TFDS keeps its data; by default $TFDS_DATA_DIR or ~/tensorflow_datasets."""
    manual_dir: pathlib.Path | None = None
    """Archives downloaded by hand; by default downloads/manual in the data folder."""


def prepare(
    builder: tfds.core.DatasetBuilder, manual_dir: pathlib.Path | None = None
) -> None:
    """Prepares a data set as array_record unless it is prepared already.

    Whatever would stop the preparation is looked for before it starts.

    Args:
        builder: The data set in its data folder.
        manual_dir: Archives downloaded by hand; None stands for TFDS's default.

    Raises:
        FileExistsError: It is prepared in a format without random access.
        FileNotFoundError: It must be downloaded by hand, and was not.
        ModuleNotFoundError: TensorFlow is needed and not installed.
        ConnectionError: It must be downloaded, and its server cannot be reached.
    """
    if builder.is_prepared():
        _check_format(builder)
        return
    downloads = pathlib.Path(builder.data_dir_root) / "downloads"
    manual_dir = (manual_dir or downloads / "manual").expanduser()
    _check_manual_files(builder, manual_dir)
    _check_tensorflow(builder)
    if builder.name not in MANUAL_FILES:
        _check_network(builder, downloads, manual_dir)
    builder.download_and_prepare(
        file_format="array_record",
        download_dir=downloads,
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir),
    )


def _check_format(builder: tfds.core.DatasetBuilder) -> None:
    formats = [format.value for format in builder.info.available_file_formats()]
    if "array_record" not in formats:
        raise FileExistsError(
            f"{builder.data_dir} has {builder.name} as {', '.join(formats)}; remove it "
            "or convert it, where TensorFlow is installed: tfds convert_format "
            f"--dataset_version_dir={builder.data_dir} --out_file_format=array_record"
        )


def _check_manual_files(
    builder: tfds.core.DatasetBuilder, manual_dir: pathlib.Path
) -> None:
    for names in MANUAL_FILES.get(builder.name, ()):
        if not any((manual_dir / name).exists() for name in names):
            raise FileNotFoundError(
                f"{builder.name} must be downloaded by hand: no {' or '.join(names)} "
                f"in {manual_dir}. {builder.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )


def _check_tensorflow(builder: tfds.core.DatasetBuilder) -> None:
    # TFDS imports TensorFlow lazily, as `tf`, in the builders that use it.
    uses_tensorflow = hasattr(sys.modules[type(builder).__module__], "tf")
    if uses_tensorflow and importlib.util.find_spec("tensorflow") is None:
        raise ModuleNotFoundError(
            f"TFDS needs TensorFlow to prepare {builder.name} (not to read it): "
            "pip install 'asam_jax[tensorflow]'"
        )


def _check_network(
    builder: tfds.core.DatasetBuilder,
    downloads: pathlib.Path,
    manual_dir: pathlib.Path,
) -> None:
    """Tries the server once, since TFDS retries for minutes."""

    def found(url: str, info: UrlInfo) -> bool:
        folder = epath.Path(downloads / builder.name)
        cached = folder / resource.get_dl_fname(url, info.checksum)
        by_hand = manual_dir / str(info.filename)
        unpacked = by_hand.with_name(by_hand.name.removesuffix(".gz"))
        return (
            resource.is_locally_cached(cached) or by_hand.exists() or unpacked.exists()
        )

    urls = builder.url_infos or {}
    missing = [url for url, info in urls.items() if not found(url, info)]
    try:
        if missing:
            requests.head(missing[0], timeout=10)
    except requests.RequestException as error:
        raise ConnectionError(
            f"cannot download {', '.join(missing)}; "
            f"download it elsewhere and put it in {manual_dir}"
        ) from error


def main(options: Options) -> None:
    """Prepares the data set and says where it is, or why it cannot be prepared."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("experiments").setLevel(logging.INFO)
    builder = tfds.builder(options.name, data_dir=options.data_dir)
    try:
        prepare(builder, options.manual_dir)
    except (
        OSError,
        ModuleNotFoundError,
        NonMatchingChecksumError,
        ValueError,
    ) as error:
        raise SystemExit(f"error: {error}") from error
    splits = builder.info.splits.values()
    sizes = ", ".join(f"{split.num_examples} {split.name}" for split in splits)
    print(f"{options.name} is prepared in {builder.data_dir}: {sizes}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
