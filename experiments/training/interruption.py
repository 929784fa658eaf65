"""SIGTERM and Ctrl-C: save, then leave."""

import contextlib
import signal
from collections.abc import Iterator

EXIT_INTERRUPTED = 75
"""Exit code of a run that was stopped and saved: the same command resumes it."""


class Interruption:
    """Whether the process was asked to stop."""

    requested = False


@contextlib.contextmanager
def catch_interruption() -> Iterator[Interruption]:
    """Turns the first SIGTERM or SIGINT into a request; a second one acts at once.

    A signal that is ignored, as SIGINT is in a shell's background jobs, stays ignored.
    """
    interruption = Interruption()
    previous = {}

    def request(signum, frame):
        del frame
        interruption.requested = True
        signal.signal(signum, previous[signum])

    for signum in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(signum) is not signal.SIG_IGN:
            previous[signum] = signal.signal(signum, request)
    try:
        yield interruption
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
