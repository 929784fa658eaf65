"""Result files that say where their figures come from."""

import importlib.metadata
import json
import math
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from experiments.cores import available_cores

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("jax", "jaxlib", "optax", "asam_jax", "numpy")


def provenance() -> dict[str, Any]:
    """Tells what is about to run: command, commit, versions and machine.

    Call it at the start of a run: files that the run itself writes would make the
    working tree look changed.

    Returns:
        A record for JSON. `commit` is None outside a Git repository, and
        `uncommitted_changes` tells whether the tree differs from that commit.
    """
    status = _git("status", "--porcelain")
    return {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": None if status is None else bool(status),
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
        "machine": {
            "cpu": _cpu_model(),
            "cores": len(available_cores()),
            "devices": [device.device_kind for device in jax.devices()],
            "system": f"{platform.system()} {platform.machine()}",
        },
    }


def write_results(out: Path, name: str, record: Mapping[str, Any], text: str) -> None:
    """Writes NAME.json and NAME.md, in a folder that is made if need be.

    Args:
        out: The folder.
        name: Of the study.
        record: What was found, with its `provenance`.
        text: The same for a reader, in Markdown.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / f"{name}.json", record)
    (out / f"{name}.md").write_text(text)


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Writes an indented JSON file that keeps each list of numbers on one line.

    Numbers that are not finite, which JSON lacks, become null.
    """
    text = json.dumps(_finite(record), indent=2, allow_nan=False)
    innermost_list = re.compile(r"\[([^][{}\"]*)\]")
    one_line = lambda match: f"[{' '.join(match[1].split())}]"
    path.write_text(innermost_list.sub(one_line, text) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":")[1] for line in lines if line.startswith("model name")]
    return models[0].strip() if models else platform.machine()
