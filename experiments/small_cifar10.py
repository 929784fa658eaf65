"""A small net on some thousand CIFAR-10 images, which several studies train."""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from experiments.runs import Run, is_finished
from experiments.training.config import (
    Ascent,
    Cadence,
    RunOptions,
    require_positive,
    require_seeds,
)
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
    seeds: tuple[int, ...] = (0,)
    """Every run is made with each."""

    def __post_init__(self):
        """Refuses a study of no run."""
        require_positive(
            self, "num_train", "num_validation", "epochs", "batch_size", "workers"
        )
        require_seeds(self.seeds)

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

    def jobs(self, configs: Sequence[ImageConfig], seeds: Iterable[int]) -> list[Job]:
        """Returns a job for each config and seed, seed by seed."""
        options = RunOptions(data_dir=self.data_dir, run_dir=self.run_dir)
        cadence = Cadence(
            log_every=50, eval_every=max(1, self.epochs // 4), checkpoint_every=10
        )
        return [
            Job(config, seed, cadence, options, image_task, is_finished)
            for seed in seeds
            for config in configs
        ]

    def finish(
        self, configs: Sequence[ImageConfig], seeds: Iterable[int]
    ) -> Iterator[Run]:
        """Yields the run of each config and seed as it finishes."""
        return finish(self.jobs(configs, seeds), self.workers)

    def record(self) -> dict[str, Any]:
        """Returns the settings for JSON."""
        return dataclasses.asdict(self) | {"out": str(self.out)}
