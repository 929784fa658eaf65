"""Several runs at a time, one core each.

On a CPU a small convolution gains little from a second core; a second run does.
"""

import multiprocessing
import os
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

from tqdm import tqdm

from experiments.command import Config, run, run_path
from experiments.cores import available_cores, pin_to_core
from experiments.runs import Run, read_run
from experiments.training.config import Cadence, RunOptions, to_json
from experiments.training.run_folder import open_run_folder
from experiments.training.task import Task

SECONDS_TO_SAVE = 60


class Job(NamedTuple):
    """A run that is to be finished.

    Its functions have to be those of a module, by whose name a worker finds them.
    """

    config: Config
    seed: int
    cadence: Cadence
    options: RunOptions
    make_task: Callable[..., Task]
    is_finished: Callable[[pathlib.Path], bool]
    """Whether a run folder holds all that the run is for."""


def finish(jobs: list[Job], workers: int) -> Iterator[Run]:
    """Yields each run as it finishes, and moves a bar.

    What is finished already comes at once.

    Raises:
        RunFolderError: If a run folder holds a run of other settings.
        Exception: What a run raised, after the others have been given up.
    """
    context = multiprocessing.get_context("spawn")
    cores = available_cores()
    free = context.Queue()
    for i in range(workers):
        free.put(cores[i % len(cores)])
    with (
        tqdm(total=len(jobs), unit="run", disable=None) as bar,
        ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start, initargs=(free,)
        ) as pool,
    ):
        futures = [pool.submit(_finish, job) for job in jobs]
        try:
            for future in as_completed(futures):
                run = read_run(future.result())
                bar.update()
                yield run
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(free) -> None:
    """Gives the worker a core of its own, before JAX counts them, and a life's end."""
    pin_to_core(free.get())
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
    path = run_path(job.config, job.seed, job.options)
    if (path / "config.json").exists():
        open_run_folder(path, {"seed": job.seed, **to_json(job.config)})
        if job.is_finished(path):
            return path
    outcome, _ = run(job.config, job.make_task, job.seed, job.cadence, job.options)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return path
