"""The command line: `python -m experiments.digits`."""

import sys
from collections.abc import Sequence

import tyro

from experiments.digits.config import Config, quick_config
from experiments.digits.run import run


def main(arguments: Sequence[str]) -> None:
    """Runs the demo.

    Args:
        arguments: What follows the program's name on the command line.
    """
    config = tyro.cli(
        Config,
        args=arguments,
        prog="python -m experiments.digits",
        default=quick_config() if "--quick" in arguments else Config(),
    )
    try:
        run(config)
    except OSError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped before the end: no results were written.")


if __name__ == "__main__":
    main(sys.argv[1:])
