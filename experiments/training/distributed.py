"""Many processes, one run: how they join, agree, and end together.

Every process runs the same program. Process 0 alone writes to the run folder, which is
on storage that all of them share, and to the terminal.
"""

import contextlib
import dataclasses
import hashlib
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

SECONDS_TO_JOIN = 30
OWN_FAULTS = ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "UNIMPLEMENTED")
"""How errors begin that a process makes by itself, as when it runs out of memory."""


class ProcessesError(Exception):
    """The processes of a run do not agree; the message says on what."""


@dataclasses.dataclass(frozen=True)
class Processes:
    """The processes that train together, as a rule one a host; by default one alone."""

    distributed: bool = False
    """Join the processes that JAX detects: of a TPU pod, Slurm, Kubernetes, Open MPI.
    Give the same options to each; --run-dir must be on storage that they share."""
    coordinator: str | None = None
    """HOST:PORT on which process 0 listens, where nothing is detected."""
    num_processes: int | None = None
    """How many there are; goes with --coordinator."""
    process_id: int | None = None
    """Which of them this is, from 0; goes with --coordinator."""
    heartbeat_timeout: int = 60
    """Seconds without a sign of life of a process after which the others end."""

    def __post_init__(self):
        """Refuses half an address, and a time in which nobody can answer."""
        explicit = (self.coordinator, self.num_processes, self.process_id)
        if None in explicit and explicit != (None, None, None):
            raise ValueError(
                "--coordinator, --num-processes and --process-id go together"
            )
        if self.coordinator is not None:
            host, _, port = self.coordinator.rpartition(":")
            if not (host and port.isdecimal()):
                raise ValueError(
                    f"--coordinator must be HOST:PORT, got {self.coordinator}"
                )
        if self.heartbeat_timeout < 1:
            raise ValueError("--heartbeat-timeout must be at least 1 second")


@contextlib.contextmanager
def joined(processes: Processes) -> Iterator[None]:
    """Joins the other processes, if the options say so, and leaves them.

    A process that fails leaves at once: the others notice, by a failing collective or
    at the latest by the silence, and end too. An orderly exit would first wait for
    them, who wait for it.
    """
    if not (processes.distributed or processes.coordinator):
        yield
        return
    _join(processes)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.code, str):
            _leave(error.code)
        raise
    except BaseException as error:
        blame = ""
        if has_lost_process(error):
            blame = (
                "error: a step failed, most likely since another process is gone (see "
                "its output). Start all processes again: the run goes on from its last "
                "checkpoint.\n"
            )
        _leave(blame + traceback.format_exc())


def _join(processes: Processes) -> None:
    # It would take SIGTERM, which the loop handles itself.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        with _telling_if_it_lasts():
            jax.distributed.initialize(
                **_address(processes),
                heartbeat_timeout_seconds=processes.heartbeat_timeout,
                shutdown_timeout_seconds=processes.heartbeat_timeout,
            )
    except ValueError as error:
        if processes.coordinator is not None:
            raise
        sys.exit(
            f"error: JAX detects no other processes ({error}): give --coordinator, "
            "--num-processes and --process-id"
        )
    except jax.errors.JaxRuntimeError as error:
        sys.exit(f"error: cannot join the other processes: {error}")


def _address(processes: Processes) -> dict[str, Any]:
    if processes.coordinator is None:
        return {}
    host, _, _ = processes.coordinator.rpartition(":")
    is_local = host in ("localhost", "127.0.0.1")
    return {
        "coordinator_address": processes.coordinator,
        "num_processes": processes.num_processes,
        "process_id": processes.process_id,
        "cluster_detection_method": "deactivate",
        "coordinator_bind_address": processes.coordinator if is_local else None,
    }


@contextlib.contextmanager
def _telling_if_it_lasts() -> Iterator[None]:
    """Says what is waited for: JAX does not, and aborts the process in the end."""
    message = (
        "still waiting for the other processes to join: are all started, with the same "
        "options, and does each reach the coordinator?"
    )
    out = {"file": sys.stderr, "flush": True}
    timer = threading.Timer(SECONDS_TO_JOIN, print, [message], out)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _leave(message: str) -> NoReturn:
    where = f"process {jax.process_index()} of {jax.process_count()}"
    print(f"{where}: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    for worker in multiprocessing.active_children():
        worker.terminate()
    os._exit(1)


def is_primary() -> bool:
    """Tells whether this is process 0, which writes."""
    return jax.process_index() == 0


def has_lost_process(error: BaseException) -> bool:
    """Tells whether an error may be what the loss of another process looks like."""
    return (
        jax.process_count() > 1
        and isinstance(error, jax.errors.JaxRuntimeError)
        and not str(error).startswith(OWN_FAULTS)
    )


def any_process(flag: bool) -> bool:
    """Tells every process whether the flag is set at one of them; all have to ask."""
    if jax.process_count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def from_primary(number: int) -> int:
    """Tells every process the number that process 0 gives; all have to ask.

    Args:
        number: From 0 to 2^31 - 1.
    """
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.process_allgather(np.int32(number))[0])


def on_primary(action: Callable[[], object]) -> None:
    """Lets process 0 do what only one may, while the others wait.

    Raises:
        Exception: What the action raised.
        ProcessesError: Likewise, at the other processes.
    """
    failure = None
    if is_primary():
        try:
            action()
        except Exception as error:
            failure = error
    if any_process(failure is not None):
        raise failure or ProcessesError("process 0 failed; see its output")


def require_agreement(options: str) -> None:
    """Refuses processes that were started with different options.

    Raises:
        ProcessesError: At every process, if they differ.
    """
    digest = np.frombuffer(hashlib.sha256(options.encode()).digest(), np.uint8)
    digests = multihost_utils.process_allgather(digest)
    if (differ := np.any(digests != digests[0], axis=-1)).any():
        others = ", ".join(map(str, np.flatnonzero(differ)))
        raise ProcessesError(
            f"process {others} was given other options than process 0, or is of "
            "another version"
        )
