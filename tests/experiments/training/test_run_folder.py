import json
import shutil

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils

from experiments.training import run_folder
from experiments.training.run_folder import (
    RunFolder,
    RunFolderError,
    check_room,
    naming,
    open_run_folder,
    write_text,
)

CONFIG = {"seed": 0, "ascent": {"rho": 0.5, "eta": 0.01}, "epochs": 200}


def begin(folder: RunFolder) -> None:
    folder.metrics.write_text("")


def test_the_config_is_kept_and_the_folder_opened_again(tmp_path):
    path = tmp_path / "a/b"
    folder = open_run_folder(path, CONFIG)
    begin(folder)
    assert open_run_folder(path, CONFIG) == folder
    assert json.loads((path / "config.json").read_text()) == CONFIG
    assert {file.name for file in path.iterdir()} == {"config.json", "metrics.jsonl"}


def test_another_config_is_refused_with_the_differences(tmp_path):
    begin(open_run_folder(tmp_path, CONFIG))
    other = {"seed": 0, "ascent": {"rho": 0.05, "eta": 0.01}, "batch_size": 128}
    with pytest.raises(RunFolderError) as error:
        open_run_folder(tmp_path, other)
    for line in (
        f"{tmp_path} holds a run with another config",
        "ascent.rho: 0.5 in the run folder, 0.05 now",
        "batch_size: (absent) in the run folder, 128 now",
        "epochs: 200 in the run folder, (absent) now",
    ):
        assert line in str(error.value)
    assert "eta" not in str(error.value)
    assert json.loads((tmp_path / "config.json").read_text()) == CONFIG


def test_a_run_that_never_began_may_change_its_config(tmp_path):
    open_run_folder(tmp_path, CONFIG)
    open_run_folder(tmp_path, {"seed": 1})
    assert json.loads((tmp_path / "config.json").read_text()) == {"seed": 1}


def test_subwords_belong_to_the_config_that_they_were_learnt_for(tmp_path):
    folder = open_run_folder(tmp_path, CONFIG)
    folder.subwords.write_bytes(b"a model")
    open_run_folder(tmp_path, {"seed": 1})
    assert not folder.subwords.exists()
    folder.subwords.write_bytes(b"another")
    begin(folder)
    open_run_folder(tmp_path, {"seed": 1})
    assert folder.subwords.read_bytes() == b"another"


def test_a_folder_that_is_another_one_at_process_0_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    both_say = lambda x: np.stack([x, x])
    monkeypatch.setattr(multihost_utils, "process_allgather", both_say)
    with pytest.raises(RunFolderError, match="on storage that all processes share"):
        open_run_folder(tmp_path, CONFIG)


@pytest.mark.parametrize("begun", ["metrics", "checkpoints"])
def test_either_of_metrics_and_checkpoints_is_a_beginning(tmp_path, begun):
    folder = open_run_folder(tmp_path, CONFIG)
    getattr(folder, begun).mkdir()
    with pytest.raises(RunFolderError):
        open_run_folder(tmp_path, {"seed": 1})


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file/run"
    with pytest.raises(RunFolderError, match=f"cannot write the run folder {path}"):
        open_run_folder(path, CONFIG)


def test_a_folder_that_takes_no_file_is_named(tmp_path, monkeypatch):
    def fail(self, data):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(RunFolderError, match=f"{tmp_path}.*Permission denied"):
        open_run_folder(tmp_path, CONFIG)


def test_the_checkpoints_must_find_room(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=20_000_000)
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda path: usage)
    folder = RunFolder(tmp_path)
    check_room(folder, 10_000_000, 2)
    with pytest.raises(RunFolderError) as error:
        check_room(folder, 10_000_000, 3)
    message = "has 20 MB free, and checkpoints will take 30 MB more"
    assert f"{tmp_path} {message}" in str(error.value)
    for step in ("10", "20", "30"):  # a resumed run has some already
        (folder.checkpoints / step).mkdir(parents=True)
    check_room(folder, 20_000_000, 3)
    with pytest.raises(RunFolderError, match="21 MB more"):
        check_room(folder, 21_000_000, 3)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    write_text(path, "old")

    def fail(self, text, encoding):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*config\.json"):
        write_text(path, "new")
    assert path.read_text() == "old"


def test_an_error_keeps_the_name_that_it_has(tmp_path):
    with pytest.raises(OSError, match="first"), naming(tmp_path / "second"):
        raise OSError(28, "No space left on device", "first")
