import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils

from experiments.training import distributed
from experiments.training.distributed import (
    Processes,
    ProcessesError,
    any_process,
    from_primary,
    is_primary,
    joined,
    on_primary,
    require_agreement,
)


@pytest.mark.parametrize(
    "half", [{"coordinator": "host:1"}, {"num_processes": 2, "process_id": 0}]
)
def test_half_an_address_is_refused(half):
    with pytest.raises(ValueError, match="--coordinator, --num-processes and"):
        Processes(**half)


@pytest.mark.parametrize("coordinator", ["host", "host:", ":1234", "host:http"])
def test_a_coordinator_without_a_port_or_a_host_is_refused(coordinator):
    with pytest.raises(ValueError, match=f"must be HOST:PORT, got {coordinator}"):
        Processes(coordinator=coordinator, num_processes=2, process_id=0)


def test_a_process_that_is_never_given_up_is_refused():
    with pytest.raises(ValueError, match="--heartbeat-timeout must be at least 1"):
        Processes(heartbeat_timeout=0)


def test_a_process_alone_asks_nobody():
    with joined(Processes()):
        assert not jax.distributed.is_initialized()
    assert is_primary()
    assert any_process(True) and not any_process(False)
    assert from_primary(7) == 7
    require_agreement("options")
    done = []
    on_primary(lambda: done.append(1))
    assert done == [1]
    with pytest.raises(OSError, match="disk"):
        on_primary(lambda: fail("disk"))


def fail(message):
    raise OSError(message)


@pytest.fixture
def as_process(monkeypatch):
    """Plays one of two processes, beside another that says what is given."""

    def as_process(index, other):
        monkeypatch.setattr(jax, "process_count", lambda: 2)
        monkeypatch.setattr(jax, "process_index", lambda: index)

        def process_allgather(x):
            return np.stack([x, other] if index == 0 else [other, x])

        monkeypatch.setattr(multihost_utils, "process_allgather", process_allgather)

    return as_process


@pytest.mark.parametrize("index", [0, 1])
def test_a_flag_at_one_process_is_known_to_both(as_process, index):
    as_process(index, np.array(True))
    assert any_process(False)
    as_process(index, np.array(False))
    assert any_process(True) and not any_process(False)
    assert is_primary() == (index == 0)


@pytest.mark.parametrize(("index", "number"), [(0, 7), (1, 8)])
def test_both_know_the_number_of_process_0(as_process, index, number):
    as_process(index, np.int32(8))
    assert from_primary(7) == number


def test_the_other_process_waits_and_fails_with_the_first(as_process):
    as_process(1, np.array(False))
    on_primary(lambda: fail("not here"))
    as_process(1, np.array(True))
    with pytest.raises(ProcessesError, match="process 0 failed"):
        on_primary(lambda: fail("not here"))


def test_options_that_differ_are_refused_at_both(as_process):
    digest = np.frombuffer(hashlib.sha256(b"seed 0").digest(), np.uint8)
    for index, options in ((0, "seed 1"), (1, "seed 1")):
        as_process(index, digest)
        require_agreement("seed 0")
        with pytest.raises(ProcessesError, match="process 1 was given other options"):
            require_agreement(options)


class Left(BaseException):
    """In place of the end of the process."""


@pytest.fixture
def leave_joined(monkeypatch):
    """Raises an error in one of two processes, which leaves."""

    def exit_at_once(code):
        raise Left(code)

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **options: None)
    monkeypatch.setattr(os, "_exit", exit_at_once)

    def leave_joined(error):
        address = Processes(coordinator="host:1", num_processes=2, process_id=0)
        with pytest.raises(Left, match="1"), joined(address):
            raise error

    return leave_joined


@pytest.mark.parametrize("status", ["UNKNOWN: Gloo AllGather failed", ""])
def test_a_step_that_fails_at_a_lost_process_says_so(leave_joined, capsys, status):
    leave_joined(jax.errors.JaxRuntimeError(status))
    told = capsys.readouterr().err
    assert told.startswith("process 0 of 2: error: a step failed, most likely since ")
    assert "another process is gone" in told
    assert "Start all processes again" in told
    assert told.rstrip().endswith(f"JaxRuntimeError: {status}".rstrip(": "))


@pytest.mark.parametrize(
    "error",
    [
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory"),
        jax.errors.JaxRuntimeError("INVALID_ARGUMENT: a shape"),
        ZeroDivisionError("division by zero"),
    ],
)
def test_a_fault_of_its_own_is_blamed_on_no_other(leave_joined, capsys, error):
    leave_joined(error)
    told = capsys.readouterr().err
    assert told.startswith("process 0 of 2: Traceback (most recent call last)")
    assert str(error) in told
    assert "another process" not in told


def test_workers_end_with_the_process_that_leaves(leave_joined):
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    worker.start()
    leave_joined(ZeroDivisionError("division by zero"))
    worker.join(30)
    assert worker.exitcode == -signal.SIGTERM


def test_a_long_wait_for_the_others_is_told(monkeypatch, capsys):
    began = threading.Event()

    def tell(*args, **options):
        print(*args, **options)
        began.set()

    monkeypatch.setattr(distributed, "print", tell, raising=False)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **options: began.wait(9))
    monkeypatch.setattr(distributed, "SECONDS_TO_JOIN", 0.01)
    with joined(Processes(distributed=True)):
        pass
    assert "still waiting for the other processes" in capsys.readouterr().err


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that knows `Processes` and `joined`, where there is no cluster."""
    clusters = ("KUBERNETES", "SLURM", "OMPI", "TPU", "MEGASCALE", "JAX_COORDINATOR")
    return subprocess.run(
        [sys.executable, "-c", f"from {joined.__module__} import *\n{program}"],
        env={k: v for k, v in os.environ.items() if not k.startswith(clusters)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_nothing_to_join_is_an_error_in_a_line():
    done = run_python("with joined(Processes(distributed=True)): pass")
    assert done.returncode == 1
    assert done.stderr.startswith("error: JAX detects no other processes")
    assert "--coordinator" in done.stderr


def test_a_failure_to_join_is_an_error_in_a_line(monkeypatch):
    def initialize(**options):
        raise jax.errors.JaxRuntimeError("UNKNOWN: Failed to start RPC server")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    message = "^error: cannot join the other processes: UNKNOWN: Failed to start RPC"
    with pytest.raises(SystemExit, match=message), joined(Processes(distributed=True)):
        pass


@pytest.mark.parametrize(
    ("leaving", "told"),
    [
        ("sys.exit('error: no data')", "process 0 of 1: error: no data\n"),
        ("1 / 0", "ZeroDivisionError: division by zero\n"),
    ],
)
def test_a_process_that_fails_leaves_at_once(leaving, told):
    done = run_python(f"""
import atexit, socket, sys
atexit.register(print, "in good order")
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
address = f"127.0.0.1:{{port}}"
with joined(Processes(coordinator=address, num_processes=1, process_id=0)):
    assert jax.distributed.is_initialized()
    {leaving}
""")
    assert done.returncode == 1
    assert done.stderr.startswith("process 0 of 1: ") and told in done.stderr
    assert "in good order" not in done.stdout
