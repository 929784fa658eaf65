"""The methods on CIFAR-10 images, with the small net of `experiments.label_noise`."""

import dataclasses
import functools
import pathlib

from experiments.data.order import steps_per_epoch
from experiments.frontier.methods import METHODS
from experiments.frontier.report import write_report
from experiments.frontier.results import Result, Study, write_study
from experiments.provenance import provenance
from experiments.run_summary import last_validation_accuracy, summary
from experiments.runs import Run
from experiments.small_cifar10 import SmallStudy
from experiments.training.image_config import ImageConfig
from experiments.tuned_training import tune_then_repeat

RHOS = {
    "sgd": (0.0,),
    "sgd-2x": (0.0,),
    "sam": (0.1, 0.2, 0.3, 0.5, 0.9),
    "asam": (1.0, 2.0, 3.0, 5.0, 9.0),
    "asam-momentum": (2.0, 3.5, 6.0, 10.0, 18.0),
    "asam-every5": (2.0, 4.0, 6.0, 10.0, 15.0),
    "asam-norm": (0.8, 1.4, 2.4, 4.0, 7.0),
    "asam-late": (1.0, 2.0, 3.0, 5.0, 9.0),
    "asam-part4": (1.0, 2.0, 3.0, 5.0, 9.0),
    "asam-every2": (1.5, 2.5, 4.0, 6.0, 9.0),
    "asam-every10": (2.0, 4.0, 7.0, 12.0, 20.0),
    "asam-stale": (1.0, 2.0, 3.0, 5.0, 9.0),
    "asam-random": (5.0, 10.0, 17.0, 30.0, 52.0),
    "msam": (0.6, 1.0, 1.8, 3.0, 5.2),
}
"""Five radii a method. SAM's and ASAM's are those of `label_noise`. The others lie
where the ascent, after 150 to 300 steps of SGD, raises the loss of a batch by about as
much as ASAM's best does, 0.4 to 2. For every k they reach k times ASAM's best."""
NOISE_RATE = 0.4


@dataclasses.dataclass(frozen=True)
class Cifar10(SmallStudy):
    """What is run; every default is that of the committed results."""

    run_dir: str = "runs/frontier"
    """Folder of the runs; that of label_noise saves those of SGD, SAM and ASAM."""
    out: pathlib.Path = pathlib.Path("runs/frontier")
    """Folder of frontier-cifar10.json, rewritten after each finished run."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """The first of them chooses rho."""


def config_of(options: Cifar10, method: str, rho: float) -> ImageConfig:
    """Returns the config of a run, under the name that `label_noise` gives it."""
    suffix = f"-rho{rho:g}" if rho else ""
    return options.config(
        f"noise{100 * NOISE_RATE:02.0f}-{method}{suffix}",
        METHODS[method].ascent(rho),
        NOISE_RATE,
        epochs=METHODS[method].duration * options.epochs,
    )


def main(options: Cifar10) -> None:
    """Trains what is left, choosing rho on the way, and writes the report."""
    record = {**provenance(), "options": options.record()}
    study = Study(
        title=f"{options.num_train:,} CIFAR-10 images, convolutional net",
        rhos=RHOS,
        tuning_seeds=options.seeds[:1],
        costs={name: METHODS[name].cost(_num_steps(options)) for name in RHOS},
        results=[],
    )
    finished = tune_then_repeat(
        RHOS,
        options.seeds,
        functools.partial(config_of, options),
        options.finish,
        last_validation_accuracy,
    )
    for method, run in finished:
        study.results.append(_result(method, run))
        write_study(options.out / "frontier-cifar10.json", study, record)
        write_report(options.out)


def _num_steps(options: Cifar10) -> int:
    return options.epochs * steps_per_epoch(options.num_train, options.batch_size)


def _result(method: str, run: Run) -> Result:
    found = summary(run)
    return Result(
        method=method,
        rho=found["rho"],
        seed=found["seed"],
        test=found["last_test_accuracy"],
        test_maximum=found["max_test_accuracy"],
        validation=found["last_validation_accuracy"],
        train=found["last_train_accuracy"],
    )
