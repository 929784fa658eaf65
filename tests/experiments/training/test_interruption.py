import itertools
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from experiments.training.config import Cadence
from experiments.training.interruption import EXIT_INTERRUPTED, catch_interruption
from experiments.training.metrics import read_metrics
from experiments.training.run_folder import RunFolder
from tests.experiments.training.running import assert_same_run, train_tiny
from tests.experiments.training.tiny import TinyConfig

ROOT = pathlib.Path(__file__).parents[3]
CONFIG = TinyConfig(epochs=12)
CADENCE = Cadence(log_every=3, checkpoint_every=1)
PATIENCE = 600  # seconds, for a machine that is busy with other things


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with catch_interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert not interruption.requested


def test_the_first_signal_is_a_request_and_the_second_acts():
    before = signal.getsignal(signal.SIGINT)
    with catch_interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


class Child:
    """A training process, whose run folder can be watched."""

    def __init__(
        self, run_dir: pathlib.Path, cache_dir: pathlib.Path, *, setup: str = ":"
    ):
        command = ["sh", "-c", setup + '; exec "$@"', "sh"]
        command += [sys.executable, "-m", "tests.experiments.training.tiny", "tiny"]
        options = {
            "run-dir": run_dir,
            "epochs": CONFIG.epochs,
            "log-every": CADENCE.log_every,
            "checkpoint-every": CADENCE.checkpoint_every,
        }
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(cache_dir),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        self.folder = RunFolder(run_dir / "tiny/seed0")
        self.log = run_dir.with_name("child.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | cache,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop_when(
        self, reached: Callable[["Child"], bool], signum: int
    ) -> tuple[int, str]:
        """Waits for a condition, sends a signal, and returns exit code and output."""
        end = time.monotonic() + PATIENCE
        try:
            while not reached(self) and self.process.poll() is None:
                assert time.monotonic() < end
                time.sleep(0.001)
            self.process.send_signal(signum)
            code = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
        return code, self.log.read_text()

    def checkpoints(self) -> set[str]:
        return {path.name for path in self.folder.checkpoints.glob("*")}

    def last_step(self) -> int:
        return max(
            (line["step"] for line in read_metrics(self.folder.metrics)), default=0
        )


def never(child: Child) -> bool:
    return False


def is_saving(child: Child) -> bool:
    names = child.checkpoints()
    return len(names) > 1 and any(name.endswith("-tmp") for name in names)


def is_beyond(step: int) -> Callable[[Child], bool]:
    return lambda child: child.last_step() >= step


@pytest.mark.slow
def test_a_run_stopped_in_every_way_ends_as_an_unbroken_one(tmp_path, cache_dir):
    unbroken = train_tiny(tmp_path / "unbroken", CONFIG, cadence=CADENCE)
    run_dir = tmp_path / "killed"
    rng = random.Random()

    child = Child(run_dir, cache_dir)
    code, output = child.stop_when(is_beyond(rng.randint(1, 30)), signal.SIGTERM)
    assert code == EXIT_INTERRUPTED, output
    saved = max(map(int, child.checkpoints()))
    assert f"stopped and saved at step {saved}; the same command resumes" in output

    for attempt in itertools.count():
        child = Child(run_dir, cache_dir)
        code, output = child.stop_when(is_saving, signal.SIGKILL)
        assert code == -signal.SIGKILL, output
        if is_saving(child):
            break
        assert attempt < 5  # the save may be over between the look and the signal

    full_disk = "ulimit -f 1000"  # for each file, in blocks of 512 or 1024 bytes
    child = Child(run_dir, cache_dir, setup=full_disk)
    code, output = child.stop_when(never, signal.SIGKILL)
    assert code == 1, output
    assert f"error: cannot write a checkpoint to {child.folder.checkpoints}" in output

    child = Child(run_dir, cache_dir)
    step = child.last_step() + rng.randint(1, 30)
    code, output = child.stop_when(is_beyond(step), signal.SIGKILL)
    assert code in (-signal.SIGKILL, 0), output

    resumed = train_tiny(run_dir, CONFIG, cadence=CADENCE)
    assert_same_run(resumed, unbroken)
    assert child.checkpoints() == {"110", "120"}
