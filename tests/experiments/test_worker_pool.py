"""Workers end with the study that started them."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

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
