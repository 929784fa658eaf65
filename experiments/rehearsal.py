"""A pod on one machine: a training command, run by several processes at once.

    python -m experiments.rehearsal --processes 2 --devices 2 -- \
        experiments.translation numbers-asam --max-steps 20 --log-every 5

What follows the double dash is what would follow `python -m` on each host. Every
process has virtual CPU devices and finds the others over the loopback device. Process 0
has the terminal; lines of the others are marked with their number. When one fails or is
killed, the others should end by themselves, as they would on a pod; those that do not
are killed. Ctrl-C and SIGTERM go to all: they save and stop.

Exit codes: 0 done, 75 stopped and saved, 1 a process failed, 124 out of time.
"""

import contextlib
import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import tyro

from experiments.training.config import require_positive
from experiments.training.interruption import EXIT_INTERRUPTED

EXIT_FAILED, EXIT_TIMEOUT = 1, 124
SECONDS_TO_DIE = 10
RUN_BRIEFLY = """
import runpy, signal, sys
signal.alarm(int(sys.argv.pop(1)))  # the end of a child whose parent was killed
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """How many processes train, and for how long at most."""

    processes: int = 2
    """Processes, the hosts of the pod."""
    devices: int = 2
    """Virtual CPU devices of each."""
    timeout: int = 600
    """Seconds after which all are killed."""
    heartbeat_timeout: int = 10
    """Seconds without a sign of life of a process after which the others end."""

    def __post_init__(self):
        """Refuses a pod of nothing."""
        require_positive(self, *(field.name for field in dataclasses.fields(self)))


def main(rehearsal: Rehearsal, command: list[str]) -> int:
    """Runs `python -m COMMAND` in every process, and returns the exit code."""
    began = time.monotonic()
    children = _start(rehearsal, command)
    for i, child in enumerate(children):
        print(f"process {i} of {len(children)}: pid {child.pid}", flush=True)
    readers = [
        threading.Thread(target=_pass_on, args=(i, child), daemon=True)
        for i, child in enumerate(children)
        if child.stdout is not None
    ]
    for reader in readers:
        reader.start()
    with _forwarding_signals(children), _killing_what_is_left(children):
        code = _watch(children, rehearsal, began + rehearsal.timeout)
    for reader in readers:
        reader.join(SECONDS_TO_DIE)
    return code


def _start(rehearsal: Rehearsal, command: list[str]) -> list[subprocess.Popen[str]]:
    coordinator = f"127.0.0.1:{_free_port()}"
    lifetime = rehearsal.timeout + SECONDS_TO_DIE
    children = []
    for i in range(rehearsal.processes):
        join = {
            "--coordinator": coordinator,
            "--num-processes": rehearsal.processes,
            "--process-id": i,
            "--heartbeat-timeout": rehearsal.heartbeat_timeout,
        }
        alone = rehearsal.processes == 1
        options = [] if alone else [str(x) for item in join.items() for x in item]
        child = subprocess.Popen(
            [sys.executable, "-c", RUN_BRIEFLY, str(lifetime), *command, *options],
            env=_environment(rehearsal.devices),
            stdin=subprocess.DEVNULL,
            stdout=None if i == 0 else subprocess.PIPE,
            stderr=None if i == 0 else subprocess.STDOUT,
            text=True,
            # Ctrl-C reaches a child once, through us, who kill it with its workers.
            start_new_session=True,
        )
        children.append(child)
    return children


def _environment(devices: int) -> dict[str, str]:
    flag = "--xla_force_host_platform_device_count"
    others = re.sub(rf"{flag}=\d+", "", os.getenv("XLA_FLAGS", ""))
    return {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{others} {flag}={devices}",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _pass_on(index: int, child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    with child.stdout as lines:
        for line in lines:
            print(f"[{index}] {line}", end="", flush=True)


@contextlib.contextmanager
def _forwarding_signals(children: list[subprocess.Popen[str]]) -> Iterator[None]:
    def forward(signum, frame):
        del frame
        for child in children:
            child.send_signal(signum)

    signals = (signal.SIGTERM, signal.SIGINT)
    previous = {signum: signal.signal(signum, forward) for signum in signals}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def _killing_what_is_left(children: list[subprocess.Popen[str]]) -> Iterator[None]:
    try:
        yield
    finally:
        for child in children:
            # With the workers of a child that has ended, which hold its output open.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _watch(
    children: list[subprocess.Popen[str]], rehearsal: Rehearsal, deadline: float
) -> int:
    """Waits for all processes, and says how those that fail have ended."""
    grace = rehearsal.heartbeat_timeout + SECONDS_TO_DIE
    failed: list[int] = []
    while True:
        codes = [child.poll() for child in children]
        for i, code in enumerate(codes):
            if _is_failure(code) and i not in failed:
                _tell(f"process {i} {_ending(code)}")
                if not failed and None in codes:
                    _tell(f"the others should end by themselves within {grace} s")
                    deadline = min(deadline, time.monotonic() + grace)
                failed.append(i)
        left = [i for i, code in enumerate(codes) if code is None]
        if not left:
            break
        if time.monotonic() > deadline:
            _tell(f"process {', '.join(map(str, left))} did not end, and is killed")
            return EXIT_FAILED if failed else EXIT_TIMEOUT
        time.sleep(0.1)
    if failed:
        return EXIT_FAILED
    return EXIT_INTERRUPTED if EXIT_INTERRUPTED in codes else 0


def _is_failure(code: int | None) -> bool:
    return code not in (None, 0, EXIT_INTERRUPTED)


def _ending(code: int | None) -> str:
    assert code is not None
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _tell(message: str) -> None:
    print(f"rehearsal: {message}", file=sys.stderr, flush=True)


def _parse(arguments: list[str]) -> tuple[Rehearsal, list[str]]:
    own, command = arguments, []
    if "--" in arguments:
        dash = arguments.index("--")
        own, command = arguments[:dash], arguments[dash + 1 :]
    rehearsal = tyro.cli(Rehearsal, args=own, description=__doc__)
    if not command:
        sys.exit(
            "error: give the command after a double dash, such as -- "
            "experiments.translation numbers-asam"
        )
    return rehearsal, command


if __name__ == "__main__":
    sys.exit(main(*_parse(sys.argv[1:])))
