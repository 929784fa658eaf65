"""What a run is: frozen dataclasses, whose docstrings are the command line's help."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

Normalization: TypeAlias = Literal[
    "identity", "elementwise", "elementwise-with-bias", "filterwise", "layerwise"
]
Source: TypeAlias = Literal["gradient", "momentum", "stale", "random"]
StateSharding: TypeAlias = Literal["replicated", "fsdp"]


@dataclasses.dataclass(frozen=True)
class Ascent:
    """The ball in which a step climbs before it descends, what it climbs, and when."""

    rho: float = 0.0
    """Radius of the ball; 0 is plain training, with one gradient a step."""
    normalization: Normalization = "identity"
    """Shape of the ball: identity is SAM, elementwise ASAM."""
    eta: float = 0.01
    """Added to the length of each axis; unused by identity."""
    p: float = 2.0
    """Norm of the ball, 2 or inf."""
    where: Literal["all", "norm-layers"] = "all"
    """The parameters that are perturbed."""
    source: Source = "gradient"
    """What is climbed: this batch's gradient, or, to save it, the optimizer's momentum
    (its negative, as momentum-SAM has it), the last step's gradient, or a random
    direction. Without it loss, metrics and BatchNorm statistics come from the perturbed
    parameters; before an image net is evaluated, its statistics are estimated anew."""
    part: int = 1
    """Climb the gradient of every k-th example of the batch; 1 for all. A part saves
    the clean pass as another source does."""
    group: Literal["batch", "device"] | int = "batch"
    """The examples that share one eps: the batch, on all devices; each device's share;
    or groups of so many. Devices and groups also have BatchNorm statistics of their own
    (ghost batch norm), also at rho 0, and each device holds whole parameters and
    gradients for all of its groups at once."""
    every: int = 1
    """Climb at every k-th step only."""
    start: float = 0.0
    """Share of the run before the first climb, in [0, 1)."""

    def __post_init__(self):
        """Refuses what is no ascent."""
        for name in ("rho", "eta"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be finite and >= 0, got {getattr(self, name)}"
                )
        if self.p not in (2, math.inf):
            raise ValueError(f"p must be 2 or inf, got {self.p}")
        if not 0 <= self.start < 1:
            raise ValueError(f"start must be in [0, 1), got {self.start}")
        require_positive(self, "part", "every")
        if isinstance(self.group, int):
            require_positive(self, "group")
        if self.source != "gradient" and self.part > 1:
            raise ValueError("only a gradient can be that of a part of the batch")

    @property
    def has_clean_pass(self) -> bool:
        """Whether every step sees its whole batch at the parameters themselves."""
        return self.rho == 0 or (self.source == "gradient" and self.part == 1)

    @property
    def summary(self) -> str:
        """The ascent in a few words."""
        if self.rho == 0:
            return "no ascent"
        parts = [
            f"{self.normalization} rho {self.rho:g}",
            *(["p = inf"] if self.p != 2 else []),
            *([self.where] if self.where != "all" else []),
            *([f"along {self.source}"] if self.source != "gradient" else []),
            *([f"1/{self.part} batch"] if self.part > 1 else []),
            *([f"one eps per {self._sharers}"] if self.group != "batch" else []),
            *([f"every {self.every} steps"] if self.every > 1 else []),
            *([f"after {self.start:.0%}"] if self.start else []),
        ]
        return ", ".join(parts)

    @property
    def _sharers(self) -> str:
        return "device" if self.group == "device" else f"{self.group} examples"


@dataclasses.dataclass(frozen=True)
class Cadence:
    """How often a run writes; a change of it changes no result."""

    log_every: int = 50
    """Steps between two lines of training metrics."""
    eval_every: int = 1
    """Epochs between two evaluations; the last epoch is always evaluated."""
    checkpoint_every: int = 10
    """Epochs between two checkpoints; the last epoch is always saved."""

    def __post_init__(self):
        """Refuses intervals of nothing."""
        require_positive(self, "log_every", "eval_every", "checkpoint_every")


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Where and how long to run; nothing here changes what is computed."""

    data_dir: str = "~/tensorflow_datasets"
    """Folder of the prepared data sets (see python -m experiments.prepare --help)."""
    run_dir: str = "runs"
    """Runs are kept in RUN_DIR/PRESET/seedK. The same command again resumes."""
    seed: tuple[int, ...] = (0,)
    """Seeds, one run each: --seed 0 1 2."""
    max_steps: int | None = None
    """Stop after this many steps, saved and ready to resume; the schedule is kept."""
    sharding: StateSharding = "replicated"
    """replicated: every device holds parameters and optimizer state whole; fsdp: they
    are split over the devices. A run may be resumed with the other."""
    tensorboard: bool = False
    """Also write TensorBoard logs (needs the extra asam_jax[tensorboard])."""

    def __post_init__(self):
        """Refuses what would train nothing."""
        if not self.seed:
            raise ValueError("--seed needs at least one number")
        if self.max_steps is not None:
            require_positive(self, "max_steps")


def require_positive(config: Any, *fields: str) -> None:
    """Raises `ValueError` if a field is less than 1."""
    for field in fields:
        if (value := getattr(config, field)) < 1:
            raise ValueError(f"{field} must be at least 1, got {value}")


def require_seeds(seeds: Sequence[int]) -> None:
    """Raises `ValueError` if there is no seed, or one comes twice."""
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"give at least one seed, and each once: got {seeds}")


def to_json(config: Any) -> dict[str, Any]:
    """Returns a dataclass as plain values that JSON can hold exactly."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=list))


def differences(
    old: dict[str, Any], new: dict[str, Any], prefix: str = ""
) -> list[str]:
    """Returns a line for each field in which two configs differ."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key, "(absent)"), new.get(key, "(absent)")
        if isinstance(a, dict) and isinstance(b, dict):
            lines += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {a} in the run folder, {b} now")
    return lines
