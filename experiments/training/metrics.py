"""The metrics of a run: JSON lines, and TensorBoard on request."""

import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from experiments.settings_error import SettingsError
from experiments.training.run_folder import naming, write_text

TIME_FIELDS = ("seconds", "per_second")
"""The fields that differ between two runs of the same config."""


class MetricsLog:
    """Appends lines to `metrics.jsonl`, each on disk before `write` returns."""

    def __init__(self, path: pathlib.Path, *, after_step: int, tensorboard: bool):
        """Opens the log of a run that has taken `after_step` steps.

        Lines of later steps, written after the checkpoint from which the run goes on,
        are dropped: those steps are taken again.
        """
        self._tensorboard = (
            _tensorboard(path.parent, after_step) if tensorboard else None
        )
        lines = [line for line in read_metrics(path) if line["step"] <= after_step]
        write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
        self._path = path
        self.seconds_before = lines[-1]["seconds"] if lines else 0.0
        self._file = path.open("a")

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Appends one line."""
        line = json.dumps({"step": step, "split": split, **values})
        with naming(self._path):
            self._file.write(line + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.add_scalar(f"{split}/{name}", value, step)
            self._tensorboard.flush()

    def close(self) -> None:
        """Closes the files."""
        with naming(self._path):
            self._file.close()
        if self._tensorboard is not None:
            self._tensorboard.close()


def read_metrics(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """Yields the lines of a log; a last line that was cut off is left out."""
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _tensorboard(path: pathlib.Path, after_step: int):
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise SettingsError(
            "--tensorboard needs tensorboardX: pip install 'asam_jax[tensorboard]'"
        ) from error
    return SummaryWriter(str(path / "tensorboard"), purge_step=after_step + 1)
