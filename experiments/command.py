"""The command line of the training experiments: a preset, and any field of it."""

import dataclasses
import logging
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import tyro
from tyro.conf import OmitArgPrefixes

from experiments.settings_error import SettingsError, blaming_settings
from experiments.training.averages import averaged_params
from experiments.training.checkpoint import CheckpointError
from experiments.training.config import Cadence, RunOptions, to_json
from experiments.training.curves import draw_curves
from experiments.training.distributed import (
    Processes,
    ProcessesError,
    is_primary,
    joined,
    on_primary,
    require_agreement,
)
from experiments.training.interruption import EXIT_INTERRUPTED
from experiments.training.loop import NonFiniteLossError, Outcome, train
from experiments.training.run_folder import RunFolderError, open_run_folder
from experiments.training.task import Task

EXPECTED_ERRORS = (
    ProcessesError,
    RunFolderError,
    CheckpointError,
    NonFiniteLossError,
    SettingsError,
    OSError,
)
"""What is said in a line; anything else is a fault of the code, with a traceback."""


class Config(Protocol):
    """What every config has."""

    @property
    def name(self) -> str:
        """The name of the preset, and of the folder of its runs."""
        ...

    @property
    def summary(self) -> str:
        """The config in a few words, for the list of presets."""
        ...


def main(
    presets: Mapping[str, Any],
    config_type: type,
    make_task: Callable[..., Task],
    description: str,
) -> None:
    """Reads the command line, trains each seed, and exits with a code that tells.

    0: done. 1: an error, said in a line. 75: stopped by SIGTERM or Ctrl-C and saved;
    the same command resumes. Of many processes, process 0 tells.
    """
    config, cadence, options, processes = _parse(presets, config_type, description)
    with joined(processes):
        _configure_logging()
        try:
            for seed in options.seed:
                outcome, message = run(config, make_task, seed, cadence, options)
                if is_primary():
                    print(message)
                if outcome.interrupted:
                    sys.exit(EXIT_INTERRUPTED)
        except EXPECTED_ERRORS as error:
            sys.exit(f"error: {error}")


def _configure_logging() -> None:
    common, ours = logging.WARNING, logging.INFO
    if not is_primary():
        common = ours = logging.ERROR
    logging.basicConfig(level=common, format="%(levelname)s: %(message)s")
    logging.getLogger("experiments").setLevel(ours)


def run(
    config: Config,
    make_task: Callable[..., Task],
    seed: int,
    cadence: Cadence,
    options: RunOptions,
) -> tuple[Outcome, str]:
    """Trains one seed of a config in its run folder, and draws its curves.

    Returns:
        How it ended, and what to tell of it.
    """
    same = dataclasses.replace(options, data_dir="")  # which may be a local disk
    require_agreement(str((config, seed, cadence, same)))
    path = run_path(config, seed, options)
    folder = open_run_folder(path, {"seed": seed, **to_json(config)})
    with blaming_settings():
        task = make_task(config, seed=seed, data_dir=options.data_dir, folder=folder)
    outcome = train(task, folder, seed=seed, cadence=cadence, options=options)
    on_primary(lambda: draw_curves(folder.metrics, folder.curves))
    step = int(outcome.state.step)
    if outcome.interrupted:
        return (
            outcome,
            f"stopped and saved at step {step}; the same command resumes: {path}",
        )
    if not outcome.finished:
        return outcome, f"{path}: saved at step {step}; the same command goes on"
    params = outcome.state.params
    if task.averaged > 1:
        params = averaged_params(task, folder, outcome.state)
    return outcome, task.conclude(params, folder)


def run_path(config: Config, seed: int, options: RunOptions) -> pathlib.Path:
    """Returns the run folder of a seed of a config."""
    return pathlib.Path(options.run_dir).expanduser() / config.name / f"seed{seed}"


def _parse(presets: Mapping[str, Any], config_type: type, description: str):
    parts = {
        "config": config_type,
        "cadence": Cadence,
        "options": RunOptions,
        "processes": Processes,
    }
    command_type: Any = dataclasses.make_dataclass(
        "Command", [(part, OmitArgPrefixes[kind]) for part, kind in parts.items()]
    )
    defaults = {
        name: command_type(config, Cadence(), RunOptions(), Processes())
        for name, config in presets.items()
    }
    descriptions = {name: config.summary for name, config in presets.items()}
    commands = tyro.extras.subcommand_type_from_defaults(defaults, descriptions)
    command: Any = tyro.cli(commands, description=description)
    return command.config, command.cadence, command.options, command.processes
