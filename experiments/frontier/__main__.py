"""The command line: `python -m experiments.frontier`."""

from typing import Any

import experiments.frontier
from experiments.frontier import cifar10, digits, times
from experiments.study_command import command

PARTS: dict[Any, Any] = {
    digits.Digits: digits.main,
    cifar10.Cifar10: cifar10.main,
    times.Times: times.main,
}


def main(options: Any) -> None:
    """Runs one part of the study and prints the report of all."""
    PARTS[type(options)](options)
    print((options.out / "frontier.md").read_text())


if __name__ == "__main__":
    any_part: Any = digits.Digits | cifar10.Cifar10 | times.Times
    command(any_part, main, experiments.frontier.__doc__ or "")
