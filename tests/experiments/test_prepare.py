import subprocess
import sys
import time

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import resource
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.utils import Size

from experiments import prepare
from experiments.data.source import load_images
from tests.experiments.data.prepared import make_builder

IMAGES = list(np.random.default_rng(0).integers(256, size=(3, 8, 8, 3), dtype=np.uint8))
URL = "https://example.org/cifar.tar.gz"


@pytest.fixture
def builder(tmp_path):
    """Returns a builder of a small CIFAR-10 that needs no TensorFlow."""
    return make_builder(tmp_path, "cifar10", {"train": IMAGES})


def offline(*args, **kwargs):
    raise requests.ConnectionError("no network")


def with_download(builder, monkeypatch):
    """Gives a builder one archive to download."""
    info = UrlInfo(size=Size(1), checksum="0" * 64, filename="cifar.tar.gz")
    monkeypatch.setattr(type(builder), "url_infos", {URL: info})


def test_a_data_set_is_written_as_array_record(builder, tmp_path):
    prepare.prepare(builder)
    images, labels = load_images("cifar10", "train", tmp_path)
    np.testing.assert_array_equal(images, [IMAGES[label] for label in labels])


def test_what_is_prepared_is_left_alone(builder, monkeypatch):
    prepare.prepare(builder)
    monkeypatch.setattr(builder, "download_and_prepare", offline)
    prepare.prepare(builder)


def test_another_format_is_an_error(tmp_path):
    builder = make_builder(
        tmp_path, "cifar10", {"train": IMAGES}, file_format="parquet"
    )
    builder.download_and_prepare()
    with pytest.raises(FileExistsError, match="has cifar10 as parquet"):
        prepare.prepare(builder)


def test_upstream_builders_ask_for_the_tensorflow_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda name: None)
    for name in ("cifar10", "cifar100", "fashion_mnist"):
        with pytest.raises(ModuleNotFoundError) as error:
            prepare.prepare(tfds.builder(name, data_dir=tmp_path))
        assert "pip install 'asam_jax[tensorflow]'" in str(error.value)


def test_imagenet_asks_for_its_archives(tmp_path):
    manual = tmp_path / "manual"
    manual.mkdir()
    builder = tfds.builder("imagenet2012", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="no ILSVRC2012_img_train"):
        prepare.prepare(builder, manual)
    (manual / "ILSVRC2012_img_train.tar").touch()
    with pytest.raises(FileNotFoundError, match="no ILSVRC2012_img_val"):
        prepare.prepare(builder, manual)


def test_offline_is_an_error_at_once(builder, tmp_path, monkeypatch):
    with_download(builder, monkeypatch)
    monkeypatch.setattr(requests, "head", offline)
    start = time.monotonic()
    with pytest.raises(ConnectionError) as error:
        prepare.prepare(builder, tmp_path / "by_hand")
    assert time.monotonic() - start < 5
    assert URL in str(error.value)
    assert str(tmp_path / "by_hand") in str(error.value)


def test_a_file_in_the_manual_folder_needs_no_network(builder, tmp_path, monkeypatch):
    with_download(builder, monkeypatch)
    monkeypatch.setattr(requests, "head", offline)
    (tmp_path / "cifar.tar.gz").touch()
    prepare.prepare(builder, tmp_path)
    assert builder.is_prepared()


def test_a_finished_download_needs_no_network(builder, tmp_path, monkeypatch):
    with_download(builder, monkeypatch)
    monkeypatch.setattr(requests, "head", offline)
    manager = tfds.download.DownloadManager(
        download_dir=tmp_path / "downloads", dataset_name="cifar10"
    )
    path = manager._get_dl_path(tfds.download.Resource(url=URL), "0" * 64)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    resource.get_info_path(path).touch()
    prepare.prepare(builder)
    assert builder.is_prepared()


@pytest.mark.slow
def test_the_command_fails_with_a_message(tmp_path):
    command = [sys.executable, "-m", "experiments.prepare", "imagenet2012"]
    run = subprocess.run(
        [*command, "--data-dir", tmp_path], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "error: imagenet2012 must be downloaded by hand" in run.stderr
    assert "Traceback" not in run.stderr
