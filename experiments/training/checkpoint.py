"""Checkpoints, written by orbax in the background; the one file that knows orbax."""

import contextlib
import itertools
import logging
import pathlib
import textwrap
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy as policies

from experiments.training.distributed import any_process, has_lost_process, on_primary
from experiments.training.run_folder import RunFolder
from experiments.training.task import Task

logger = logging.getLogger(__name__)
State = TypeVar("State")


class CheckpointError(Exception):
    """A checkpoint that cannot be written or read; the message names the folder."""


class _DamagedError(Exception):
    """A checkpoint that one of the processes cannot read; the message says why."""


class Checkpoints:
    """The newest states of a run, as a context manager that waits for the last save."""

    def __init__(self, path: pathlib.Path, *, every: int = 1, keep: int = 1):
        """Opens the folder, and makes it if need be.

        Args:
            path: The folder.
            every: Steps between two checkpoints that may be asked for later.
            keep: How many of these stay, the newest ones. So do the two newest of all
                steps; the others are deleted.
        """
        self._path = path.absolute()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy(
                [policies.LatestN(2), policies.EveryNSteps(every, max_to_keep=keep)]
            ),
            # What process 0 lists is what all go by.
            single_host_load_and_broadcast=True,
        )
        self._manager = ocp.CheckpointManager(self._path, options=options)
        self.last_saved: int | None = None

    def restore_newest(self, like: State) -> State:
        """Returns what `read_newest` does, for a run that is to go on from there.

        Newer checkpoints that cannot be read are renamed, so that none is lost and the
        run can write its own of those steps.
        """
        state = self.read_newest(like)
        if self.last_saved is not None:
            steps = self._manager.all_steps()
            self._set_aside([step for step in steps if step > self.last_saved])
        return state

    def read_newest(self, like: State) -> State:
        """Returns the newest state that can be read, or `like` if there is none.

        The files stay as they are.

        Args:
            like: A state with the structure, shapes, dtypes and shardings to restore.

        Raises:
            CheckpointError: If there are checkpoints and none can be read.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        for step in steps:
            try:
                state = self._restore(step, like)
            except _DamagedError as error:
                path = self._path / str(step)
                logger.warning("checkpoint %s cannot be read: %s", path, error)
            else:
                self.last_saved = step
                return state
        if steps:
            raise CheckpointError(
                f"none of the checkpoints in {self._path} can be read. Remove the run "
                "folder to start again."
            )
        return like

    def restore(self, step: int, like: State) -> State:
        """Returns the state of one step.

        Raises:
            CheckpointError: If it is not there, or damaged.
        """
        try:
            return self._restore(step, like)
        except _DamagedError as error:
            raise CheckpointError(
                f"the checkpoint {self._path / str(step)} cannot be read: {error}. "
                "Remove it and the newer ones: the same command takes their steps "
                "again."
            ) from error

    def _restore(self, step: int, like: State) -> State:
        """Reads a step at every process, or raises `_DamagedError` at every one."""
        saved = {"state": like, "checksum": jax.jit(checksum)(like)}
        abstract: Any = jax.tree.map(ocp.utils.to_shape_dtype_struct, saved)
        restored: Any = None
        reason = None
        try:
            restored = self._read(step, abstract)
        except jax.errors.JaxRuntimeError:
            raise  # a device or another process has failed, not the file
        except Exception as error:  # whatever a damaged file makes orbax raise
            reason = textwrap.shorten(str(error), 200)
        if any_process(reason is not None):
            raise _DamagedError(reason or "so another process says")
        actual = jax.jit(checksum)(restored["state"])
        if any_process(bool(actual != restored["checksum"])):
            raise _DamagedError("the arrays differ from those that were saved")
        return restored["state"]

    def _read(self, step: int, abstract: Any) -> Any:
        """Reads arrays without waiting for other processes, some of which may fail."""
        with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
            path = self._manager.directory / str(step) / "default"
            return handler.restore(path, args=ocp.args.StandardRestore(abstract))

    def _set_aside(self, steps: list[int]) -> None:
        on_primary(lambda: _rename_damaged(self._path, steps))
        self._manager.reload()

    def save(self, step: int, state: object) -> None:
        """Starts to write a state; waits until the one before is on disk."""
        if step == self.last_saved:
            return
        with self._writing():
            saved = {"state": state, "checksum": jax.jit(checksum)(state)}
            self._manager.save(step, args=ocp.args.StandardSave(saved))
        self.last_saved = step

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except jax.errors.JaxRuntimeError:
            raise  # a device or another process has failed, not the disk
        except Exception as error:
            raise CheckpointError(
                f"cannot write a checkpoint to {self._path}: {error}. The run can go "
                "on from its last checkpoint, by the same command, once there is room."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and has_lost_process(error):
            return  # for whom the save would wait
        try:
            with self._writing():
                self._manager.close()  # waits until the last state is on disk
        except Exception as failure:
            if error is None:
                raise
            logger.warning("%s", failure)


def checkpoints_of(task: Task, folder: RunFolder) -> Checkpoints:
    """Opens the checkpoints of a run, of which those that are averaged are kept."""
    return Checkpoints(
        folder.checkpoints, every=task.steps_per_epoch, keep=task.averaged
    )


def _rename_damaged(folder: pathlib.Path, steps: list[int]) -> None:
    for step in steps:
        source = folder / str(step)
        names = (f"checkpoint-{step}.damaged-{i}" for i in itertools.count())
        targets = map(folder.with_name, names)
        target = next(path for path in targets if not path.exists())
        source.rename(target)
        logger.warning("checkpoint %s is kept as %s", source, target)


def checksum(tree: Any) -> jax.Array:
    """Returns a number that tells a tree of arrays from a damaged copy of it.

    A change within one 32-bit word always changes it, since words are weighted by odd
    numbers, which have an inverse modulo 2^32.

    Args:
        tree: Arrays of booleans, integers or floats.

    Returns:
        uint32 [].
    """
    total = jnp.zeros([], jnp.uint32)
    for i, leaf in enumerate(jax.tree.leaves(tree)):
        words = _words(jnp.asarray(leaf))
        total += (2 * i + 1) * jnp.sum(words * (2 * _flat_index(words.shape) + 1))
    return total


def _flat_index(shape: tuple[int, ...]) -> jax.Array:
    """Returns the place of each word in memory, without gathering a sharded array."""
    index = jnp.zeros(shape, jnp.uint32)
    for axis, size in enumerate(shape):
        index = size * index + jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
    return index


def _words(leaf: jax.Array) -> jax.Array:
    if leaf.dtype == bool:
        return leaf.astype(jnp.uint32)
    bits = {1: jnp.uint8, 2: jnp.uint16}.get(leaf.dtype.itemsize, jnp.uint32)
    return jax.lax.bitcast_convert_type(leaf, bits).astype(jnp.uint32)
