"""The processor cores that this process may use."""

import os


def available_cores() -> tuple[int, ...]:
    """Returns the numbers of the cores, at least one; all of the machine's on macOS."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def pin_to_core(core: int) -> None:
    """Keeps this process on one core, where the system can: not on macOS."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
