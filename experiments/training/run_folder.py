"""The folder of a run: RUN_DIR/PRESET/seedK."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

from experiments.training.config import differences
from experiments.training.distributed import any_process, from_primary, on_primary


class RunFolderError(Exception):
    """A run folder that cannot be used; the message says why and what to do."""


class RunFolder(NamedTuple):
    """The files of a run."""

    path: pathlib.Path

    @property
    def config(self) -> pathlib.Path:
        """Every number of the run."""
        return self.path / "config.json"

    @property
    def metrics(self) -> pathlib.Path:
        """One JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> pathlib.Path:
        """The states from which the run can go on."""
        return self.path / "checkpoints"

    @property
    def curves(self) -> pathlib.Path:
        """The figure of the metrics."""
        return self.path / "curves.png"

    @property
    def subwords(self) -> pathlib.Path:
        """The byte-pair encoding of a translator."""
        return self.path / "subwords.model"

    @property
    def scores(self) -> pathlib.Path:
        """The scores of a translator."""
        return self.path / "scores.json"

    def translations(self, split: str) -> pathlib.Path:
        """What a translator made of a split, one sentence a line."""
        return self.path / f"{split}.translated"


def open_run_folder(path: pathlib.Path, config: dict[str, Any]) -> RunFolder:
    """Makes the folder of a run, or opens it to go on; process 0 does.

    A run that never began to train may still change its config.

    Args:
        path: The folder.
        config: Every number of the run, as JSON holds it.

    Returns:
        The folder, with `config.json` in it.

    Raises:
        RunFolderError: If the folder cannot be written, or holds a run with another
            config, or is not the same folder at every process.
    """
    folder = RunFolder(path)
    on_primary(lambda: _make_or_check(folder, config))
    _require_shared(path)
    return folder


def _make_or_check(folder: RunFolder, config: dict[str, Any]) -> None:
    path = folder.path
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".probe"
        probe.write_bytes(b"\0")
        probe.unlink()
        begun = folder.metrics.exists() or folder.checkpoints.exists()
        if not begun:
            # Learnt for the config that may now change.
            folder.subwords.unlink(missing_ok=True)
        if not begun or not folder.config.exists():
            write_text(folder.config, json.dumps(config, indent=2) + "\n")
        known = json.loads(folder.config.read_text())
    except OSError as error:
        raise RunFolderError(
            f"cannot write the run folder {path}: {error}. Choose another --run-dir."
        ) from error
    if lines := differences(known, config):
        raise RunFolderError(
            f"{path} holds a run with another config:\n  "
            + "\n  ".join(lines)
            + "\nGive the same options to resume it, or another --run-dir."
        )


def _require_shared(path: pathlib.Path) -> None:
    # A name that is new, lest a process find what it has written itself before.
    probe = path / f".shared-{from_primary(secrets.randbits(31))}"
    on_primary(probe.touch)
    is_missing = any_process(not os.path.exists(probe))
    on_primary(probe.unlink)
    if is_missing:
        raise RunFolderError(
            f"{path} is not the same folder at every process: --run-dir must be on "
            "storage that all processes share"
        )


def check_room(folder: RunFolder, num_bytes: int, num_checkpoints: int) -> None:
    """Refuses a disk without room for the checkpoints of a run.

    Args:
        folder: The run, which may have checkpoints already.
        num_bytes: The size of one.
        num_checkpoints: How many there will be at a time.

    Raises:
        RunFolderError: If those to come do not fit.
    """
    free = shutil.disk_usage(folder.path).free
    num_missing = max(1, num_checkpoints - len(list(folder.checkpoints.glob("*"))))
    needed = num_missing * num_bytes
    if free < needed:
        raise RunFolderError(
            f"{folder.path} has {free / 1e6:.0f} MB free, and checkpoints will take "
            f"{needed / 1e6:.0f} MB more. Free some or choose another --run-dir."
        )


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with naming(partial):
        partial.write_text(text, encoding="utf-8")
    partial.replace(path)


@contextlib.contextmanager
def naming(path: pathlib.Path) -> Iterator[None]:
    """Names the file in an `OSError` that does not, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
