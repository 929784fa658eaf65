"""The command line of a study."""

import sys
from collections.abc import Callable
from typing import TypeVar

import tyro

from experiments.command import EXPECTED_ERRORS

StudyT = TypeVar("StudyT")


def command(
    study_type: type[StudyT], main: Callable[[StudyT], None], description: str
) -> None:
    """Runs a study from the command line; what goes wrong is said in a line."""
    try:
        main(tyro.cli(study_type, description=description))
    except EXPECTED_ERRORS as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where it was")
