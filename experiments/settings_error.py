"""What the settings of a run are to blame for, as opposed to a fault in the code."""

import contextlib
from collections.abc import Iterator


class SettingsError(ValueError):
    """Settings that cannot be followed; the message says why, in a line."""


@contextlib.contextmanager
def blaming_settings() -> Iterator[None]:
    """Turns a `ValueError` into a `SettingsError`, where settings alone cause one."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(str(error)) from error
