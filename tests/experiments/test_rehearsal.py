import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import chex
import jax
import pytest

from experiments import rehearsal
from experiments.command import run
from experiments.rehearsal import Rehearsal, main
from experiments.training import image_task
from experiments.training.config import Cadence, RunOptions
from experiments.training.interruption import EXIT_INTERRUPTED
from tests.experiments.pod import POD_NETS, PRESETS, STEPS_PER_EPOCH, pod_task
from tests.experiments.training.running import lines_of, use_devices

END = PRESETS["batch"].epochs * STEPS_PER_EPOCH


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(rehearsal, "SECONDS_TO_DIE", 1)


def host(what, *, processes=3, timeout=30):
    options = Rehearsal(
        processes=processes, devices=5, timeout=timeout, heartbeat_timeout=1
    )
    return main(options, ["tests.experiments.host", what])


def test_every_process_has_its_number_and_its_devices(capfd):
    assert host("done") == 0
    out = capfd.readouterr().out.splitlines()
    assert "host 0: 5 devices, 6 more options" in out
    for i in (1, 2):
        assert f"[{i}] host {i}: 5 devices, 6 more options" in out


def test_one_process_needs_no_coordinator(capfd):
    assert host("done", processes=1) == 0
    assert "host 0: 5 devices, 0 more options" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("what", "ending"),
    [
        ("fail-0", "process 0 ended with exit code 3"),
        ("kill-2", "process 2 was ended by SIGKILL"),
    ],
)
def test_a_process_that_fails_ends_the_others(impatient, capfd, what, ending):
    began = time.monotonic()
    assert host(what) == 1
    assert time.monotonic() - began < 15
    told = capfd.readouterr().err
    assert told.startswith(f"rehearsal: {ending}\n")
    assert "the others should end by themselves within 2 s" in told
    assert "did not end, and is killed" in told


def test_the_time_is_bounded(impatient, capfd):
    assert host("sleep", timeout=2) == 124
    assert "process 0, 1, 2 did not end, and is killed" in capfd.readouterr().err


LEAVES_A_WORKER = """
import subprocess, sys
if sys.argv[-3] == "1":
    print("worker", subprocess.Popen(["sleep", "60"]).pid)
"""


def test_a_worker_that_a_process_leaves_behind_is_killed(tmp_path, monkeypatch, capfd):
    (tmp_path / "leaves_a_worker.py").write_text(LEAVES_A_WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    began = time.monotonic()
    assert main(Rehearsal(timeout=30), ["leaves_a_worker"]) == 0
    (worker,) = re.findall(r"\[1\] worker (\d+)", capfd.readouterr().out)
    while is_running(int(worker)):
        assert time.monotonic() - began < 5
    assert time.monotonic() - began < 5


def is_running(pid: int) -> bool:
    """Tells whether a process exists that is not merely yet to be reaped."""
    state = subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return state.stdout.strip() not in ("", "Z")


def test_processes_that_stopped_and_saved_are_no_failure():
    assert host("stopped") == EXIT_INTERRUPTED


def test_a_signal_reaches_every_process(impatient, capfd):
    threading.Timer(2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert host("sleep") == 1
    assert capfd.readouterr().err.count("was ended by SIGTERM") == 3


def test_a_rehearsal_of_nothing_is_refused():
    with pytest.raises(ValueError, match="processes must be at least 1"):
        Rehearsal(processes=0)


@pytest.fixture
def train_here(monkeypatch, tmp_path):
    """Trains a preset in this process on some of its devices."""
    monkeypatch.setattr(image_task, "IMAGE_NETS", POD_NETS)

    def train_here(preset: str, num_devices: int, run_dir: pathlib.Path | None = None):
        use_devices(monkeypatch, num_devices)
        options = RunOptions(run_dir=str(run_dir or tmp_path / str(num_devices)))
        cadence = Cadence(log_every=1, checkpoint_every=1)
        return run(PRESETS[preset], pod_task, 0, cadence, options)[0]

    return train_here


@pytest.fixture
def train_on_pod(monkeypatch, tmp_path):
    """Trains a preset in two processes of two devices."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    cadence = ["--log-every", "1", "--checkpoint-every", "1"]

    def train_on_pod(preset: str, *options: str, **environment: str):
        run_dir = str(tmp_path / "pod")
        command = ["tests.experiments.pod", preset, "--run-dir", run_dir, *options]
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return main(Rehearsal(timeout=500), [*command, *cadence])

    return train_on_pod


def assert_same_on_every_layout(preset, train_here, pod_dir):
    # A finished run is not trained further, but read, here by eight devices.
    finished = train_here(preset, 8, pod_dir)
    assert int(finished.state.step) == END
    for num_devices in (1, 4):
        outcome = train_here(preset, num_devices)
        chex.assert_trees_all_close(
            jax.device_get(finished.state),
            jax.device_get(outcome.state),
            rtol=1e-4,
            atol=1e-5,
        )
        for line, expected in zip(lines_of(finished), lines_of(outcome), strict=True):
            assert line.pop("split") == expected.pop("split")
            assert line == pytest.approx(expected, rel=1e-5, abs=1e-6)


def damage_what_one_process_reads(checkpoint: pathlib.Path) -> None:
    """Cuts what process 1 has written, and, where the state is split, alone reads."""
    files = list(checkpoint.glob("default/ocdbt.process_1/d/*"))
    assert files
    for file in files:
        os.truncate(file, file.stat().st_size // 2)


def split_arrays(checkpoint: pathlib.Path) -> list[str]:
    """Returns the shardings of a checkpoint that are over devices."""
    shardings = json.loads((checkpoint / "default/_sharding").read_text())
    return [x for x in shardings.values() if "data" in json.loads(x)["partition_spec"]]


@pytest.mark.slow
def test_one_eps_for_the_batch_on_a_split_state_and_a_damage_that_one_process_sees(
    train_here, train_on_pod, tmp_path, capfd
):
    fsdp = ("--sharding", "fsdp")
    assert train_on_pod("batch", *fsdp, SIGTERM_AT="5") == EXIT_INTERRUPTED
    saved = tmp_path / "pod/batch/seed0/checkpoints"
    assert {path.name for path in saved.iterdir()} == {"3", "5"}
    assert split_arrays(saved / "5")
    damage_what_one_process_reads(saved / "5")
    assert train_on_pod("batch", *fsdp) == 0
    assert "5 cannot be read: so another process says" in capfd.readouterr().err
    assert (saved.parent / "checkpoint-5.damaged-0").is_dir()
    assert_same_on_every_layout("batch", train_here, tmp_path / "pod")


@pytest.mark.slow
def test_one_eps_for_each_group_and_a_process_that_is_killed(
    train_here, train_on_pod, tmp_path, capfd
):
    assert train_on_pod("group", SIGKILL_AT="8") == 1
    told = capfd.readouterr().err
    assert "rehearsal: process 1 was ended by SIGKILL" in told
    # Whichever comes first: a collective that fails, or JAX that misses a heartbeat.
    assert re.search("another process is gone|another task died", told)
    assert "did not end" not in told
    assert train_on_pod("group") == 0
    assert_same_on_every_layout("group", train_here, tmp_path / "pod")
