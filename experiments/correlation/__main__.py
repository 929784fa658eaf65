"""The command line: `python -m experiments.correlation`."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

import experiments.correlation
from experiments.correlation.config import Study
from experiments.correlation.presets import PRESETS, SUMMARIES, quick
from experiments.correlation.run import run
from experiments.settings_error import SettingsError


@dataclasses.dataclass(frozen=True)
class Command:
    """A study and where it writes."""

    study: OmitArgPrefixes[Study]
    out: Path = Path("runs/correlation")
    """Folder for the results. Those of an earlier run there are replaced."""
    data_dir: str = "~/tensorflow_datasets"
    """Folder of the prepared data sets; the digits need none."""


def main(arguments: Sequence[str]) -> None:
    """Runs a study.

    Args:
        arguments: What follows the program's name on the command line.
    """
    is_quick = "--quick" in arguments
    presets = {
        name: Command(quick(study) if is_quick else study)
        for name, study in PRESETS.items()
    }
    command = tyro.cli(
        tyro.extras.subcommand_type_from_defaults(presets, SUMMARIES),
        args=arguments,
        prog="python -m experiments.correlation",
        default=presets["digits"],
        description=experiments.correlation.__doc__,
    )
    try:
        run(command.study, command.out, command.data_dir)
    except (OSError, SettingsError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped before the end: no results were written.")


if __name__ == "__main__":
    main(sys.argv[1:])
