"""Workers finish their jobs, and end with the study that started them."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments.presets import CIFAR
from experiments.runs import is_finished
from experiments.training.config import Cadence, RunOptions, to_json
from experiments.training.image_config import ImageData
from experiments.training.image_task import image_task
from experiments.training.run_folder import RunFolderError
from experiments.worker_pool import Job, finish
from tests.experiments.data.prepared import make_builder
from tests.experiments.test_runs import write_run

ROOT = pathlib.Path(__file__).parent.parent.parent
PARENT = """
import multiprocessing, os, time
from experiments import worker_pool

def work(free):
    worker_pool._start(free)
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    free = context.Queue()
    free.put(min(os.sched_getaffinity(0)))
    worker = context.Process(target=work, args=(free,))
    worker.start()
    worker.join()
"""


def is_alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc").exists(), reason="reads /proc")
def test_workers_stop_when_their_parent_is_killed(tmp_path):
    # Orphans once went on with their queue, in the run folders of the next study.
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 60
        while is_alive(worker) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert not is_alive(worker)


def write_config(folder, config, seed):
    values = {"seed": seed, **to_json(config)}
    (folder / "config.json").write_text(json.dumps(values))


@pytest.mark.slow
def test_a_finished_run_of_other_settings_is_refused(tmp_path):
    config = CIFAR["cifar10-small-sgd"]
    folder = tmp_path / config.name / "seed0"
    write_run(folder, epochs=1, series=(0.5,))
    write_config(folder, dataclasses.replace(config, learning_rate=0.3), seed=0)
    options = RunOptions(str(tmp_path / "data"), str(tmp_path))
    jobs = [Job(config, 0, Cadence(), options, image_task, is_finished)]
    with pytest.raises(RunFolderError, match=r"learning_rate: 0\.3 in the run folder"):
        next(finish(jobs, workers=1))


@pytest.mark.slow
def test_jobs_are_finished_or_were_already_or_raise(tmp_path, monkeypatch):
    # One device, and a program that is soon compiled.
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    images = np.random.default_rng(0).integers(256, size=(8, 32, 32, 3), dtype=np.uint8)
    splits = {"train": list(images), "test": list(images)}
    make_builder(tmp_path / "data", "cifar10", splits).download_and_prepare()
    config = dataclasses.replace(
        CIFAR["cifar10-small-sgd"],
        data=ImageData("cifar10", shrink=4),
        epochs=1,
        batch_size=4,
    )
    options = RunOptions(str(tmp_path / "data"), str(tmp_path / "runs"))
    absent = dataclasses.replace(options, data_dir=str(tmp_path / "absent"))
    jobs = [
        Job(config, 0, Cadence(), absent, image_task, is_finished),
        Job(config, 1, Cadence(), options, image_task, is_finished),
        Job(config, 2, Cadence(), absent, image_task, is_finished),
    ]
    was_finished = tmp_path / "runs/cifar10-small-sgd/seed0"
    write_run(was_finished, epochs=1, series=(0.5,))
    write_config(was_finished, config, seed=0)
    runs = finish(jobs, workers=1)
    assert next(runs).path == was_finished
    trained = next(runs)
    assert trained.path == was_finished.with_name("seed1")
    assert trained.is_finished
    assert [line["step"] for line in trained.lines] == [2, 2]
    with pytest.raises(FileNotFoundError, match=r"experiments\.prepare cifar10"):
        next(runs)
