"""What the small studies share: the images, the runs, the choice of rho."""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import tyro
from tqdm import tqdm

from experiments.runs import Run, is_finished
from experiments.settings_error import SettingsError
from experiments.training.config import Ascent, Cadence, RunOptions
from experiments.training.image_config import ImageConfig, ImageData
from experiments.training.image_task import image_task
from experiments.worker_pool import Job, finish


@dataclasses.dataclass(frozen=True)
class SmallStudy:
    """A small net on some thousand CIFAR-10 images at 16x16, without augmentation."""

    data_dir: str = "~/tensorflow_datasets"
    """Folder of the prepared cifar10."""
    run_dir: str = "runs"
    """Folder of the runs."""
    out: pathlib.Path = pathlib.Path("runs")
    """Folder of the report, rewritten after each finished run."""
    num_train: int = 2000
    """Training images."""
    num_validation: int = 1000
    """Images that choose rho."""
    epochs: int = 32
    """Epochs of a run."""
    batch_size: int = 64
    """Images a step."""
    workers: int = 2
    """Processes that train at the same time, one core each."""

    def config(
        self, name: str, ascent: Ascent, noise_rate: float, epochs: int
    ) -> ImageConfig:
        """Returns the config of a run on labels of which some are wrong."""
        return ImageConfig(
            name=name,
            data=ImageData(
                "cifar10",
                augmentation="none",
                shrink=2,
                num_train=self.num_train,
                num_validation=self.num_validation,
                noise_rate=noise_rate,
            ),
            net="small",
            ascent=ascent,
            epochs=epochs,
            batch_size=self.batch_size,
            label_smoothing=0.0,
        )

    def jobs(self, configs: Iterable[ImageConfig], seeds: Iterable[int]) -> list[Job]:
        """Returns a job for each config and seed."""
        options = RunOptions(data_dir=self.data_dir, run_dir=self.run_dir)
        cadence = Cadence(
            log_every=50, eval_every=max(1, self.epochs // 4), checkpoint_every=10
        )
        seeds = tuple(seeds)
        return [
            Job(config, seed, cadence, options, image_task, is_finished)
            for config in configs
            for seed in seeds
        ]

    def record(self) -> dict[str, Any]:
        """Returns the settings for JSON."""
        return dataclasses.asdict(self) | {"out": str(self.out)}


StudyT = TypeVar("StudyT")


def finish_all(
    jobs: list[Job], workers: int, on_finished: Callable[[Run], None]
) -> None:
    """Trains what is left of the jobs, with a bar, and hands over each finished run."""
    with tqdm(total=len(jobs), unit="run", disable=None) as bar:
        for run in finish(jobs, workers):
            on_finished(run)
            bar.update()


def best_rho(accuracy_and_rho: Iterable[tuple[float, float]]) -> float:
    """Returns the rho with the best accuracy, the smallest of several."""
    return max(accuracy_and_rho, key=lambda pair: (pair[0], -pair[1]))[1]


def result_of(run: Run) -> dict[str, Any]:
    """Returns what a report says of a finished run."""
    test = run.series("test", "accuracy")
    return {
        "rho": run.config["ascent"]["rho"],
        "seed": run.config["seed"],
        "last_test_accuracy": test[-1],
        "max_test_accuracy": max(test),
        "last_validation_accuracy": run.series("validation", "accuracy")[-1],
        "last_train_loss": run.series("train", "loss")[-1],
        "last_train_accuracy": run.series("train", "accuracy")[-1],
    }


def command(
    study_type: type[StudyT], main: Callable[[StudyT], None], description: str
) -> None:
    """Runs a study from the command line; what goes wrong is said in a line."""
    try:
        main(tyro.cli(study_type, description=description))
    except (SettingsError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where it was")
