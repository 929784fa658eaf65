"""Checkpoints, written by orbax in the background; the one file that knows orbax."""

import logging
import pathlib
from types import TracebackType
from typing import Any, Self, TypeVar

import jax
import orbax.checkpoint as ocp

logger = logging.getLogger(__name__)
State = TypeVar("State")


class CheckpointError(Exception):
    """A checkpoint that cannot be written or read; the message names the folder."""


class Checkpoints:
    """The newest states of a run, as a context manager that waits for the last save."""

    def __init__(self, path: pathlib.Path, *, keep: int = 2):
        """Opens the folder, and makes it if need be.

        Args:
            path: The folder.
            keep: How many checkpoints stay; older ones are deleted.
        """
        self._path = path.absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep)
        self._manager = ocp.CheckpointManager(self._path, options=options)
        self.last_saved: int | None = None

    def restore_newest(self, like: State) -> State:
        """Returns the newest state that can be read, or `like` if there is none.

        Args:
            like: A state with the structure, shapes, dtypes and shardings to restore.

        Raises:
            CheckpointError: If there are checkpoints and none can be read.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        abstract: Any = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        for step in steps:
            try:
                args = ocp.args.StandardRestore(abstract)
                state: Any = self._manager.restore(step, args=args)
            except Exception as error:  # whatever a damaged file makes orbax raise
                logger.warning(
                    "checkpoint %s cannot be read and is set aside: %s",
                    self._path / str(step),
                    error,
                )
                self._set_aside(step)
            else:
                self.last_saved = step
                return state
        if steps:
            raise CheckpointError(
                f"none of the checkpoints in {self._path} can be read. They are kept "
                "beside it as *.damaged; remove the run folder to start again."
            )
        return like

    def save(self, step: int, state: object) -> None:
        """Starts to write a state; waits until the one before is on disk."""
        if step == self.last_saved:
            return
        try:
            self._manager.save(step, args=ocp.args.StandardSave(state))
        except Exception as error:
            raise self._unwritable(error) from error
        self.last_saved = step

    def wait(self) -> None:
        """Waits until the last state is on disk."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"cannot write a checkpoint to {self._path}: {error}. The run can go on "
            "from its last checkpoint, by the same command, once there is room."
        )

    def _set_aside(self, step: int) -> None:
        damaged = self._path / str(step)
        damaged.rename(self._path.with_name(f"checkpoint-{step}.damaged"))
        self._manager.reload()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.wait()
        self._manager.close()
