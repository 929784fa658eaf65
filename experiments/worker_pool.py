"""Several runs at a time, one core each.

On a CPU a small convolution gains little from a second core; a second run does.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

from experiments.runs import Run, read_run
from experiments.training.config import Cadence, RunOptions
from experiments.training.image_config import ImageConfig

SECONDS_TO_SAVE = 60


class Job(NamedTuple):
    """A run that is to be finished."""

    config: ImageConfig
    seed: int
    cadence: Cadence
    options: RunOptions


def finish(jobs: list[Job], workers: int) -> Iterator[Run]:
    """Yields each run as it finishes; what is finished already comes at once.

    Raises:
        Exception: What a run raised, after the others have been given up.
    """
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0))
    free = context.Queue()
    for i in range(workers):
        free.put(cores[i % len(cores)])
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(free,)
    ) as pool:
        futures = [pool.submit(_finish, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield read_run(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(free) -> None:
    """Gives the worker a core of its own, before JAX counts them, and a life's end."""
    os.sched_setaffinity(0, {free.get()})
    threading.Thread(target=_stop_with_parent, daemon=True).start()


def _stop_with_parent() -> None:
    """Saves and stops when the parent has died, be it killed.

    A worker would go on with the jobs in its queue, beside those of a new study.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_SAVE)
    os._exit(1)


def _finish(job: Job):
    from experiments.command import run, run_path  # after the pinning
    from experiments.training.image_task import image_task

    path = run_path(job.config, job.seed, job.options)
    if (path / "config.json").exists() and read_run(path).is_finished:
        return path
    outcome, _ = run(job.config, image_task, job.seed, job.cadence, job.options)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return path
