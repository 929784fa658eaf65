"""Adam, SAM and ASAM on German to English, in small: Multi30k on a CPU.

    python -m experiments.prepare multi30k --data-dir D --manual-dir M
    python -m experiments.translation_study --data-dir D --run-dir runs/translation

A small transformer on some thousand short pairs. Adam runs at equal steps and, with
twice the epochs, at equal compute. rho is chosen for SAM and ASAM from grids of equal
length, by BLEU on the validation split, at the first seed; the other seeds run at the
chosen rho alone. The same command again skips what is finished and resumes what is not.

The paper's own table is that of the presets `iwslt14-*` of
`python -m experiments.translation`.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Sequence

from experiments.presets import ascent
from experiments.provenance import provenance
from experiments.study_command import command
from experiments.training.config import (
    Cadence,
    RunOptions,
    require_positive,
    require_seeds,
)
from experiments.training.run_folder import RunFolder
from experiments.training.translation_config import TranslationConfig
from experiments.training.translation_task import translation_task
from experiments.translation_presets import multi30k
from experiments.translation_report import (
    result_of,
    validation_bleu,
    write_report,
)
from experiments.tuned_training import tune_then_repeat
from experiments.tuning import check_grids
from experiments.worker_pool import Job, finish


@dataclasses.dataclass(frozen=True)
class Study:
    """What is run; every default is that of the committed results."""

    data_dir: str = "~/tensorflow_datasets"
    """Folder of the prepared multi30k."""
    run_dir: str = "runs/translation"
    """Folder of the runs."""
    out: pathlib.Path = pathlib.Path("runs/translation")
    """Folder of translation.json, .md and .png, rewritten after each finished run."""
    seeds: tuple[int, ...] = (0, 1)
    """The first of them chooses rho."""
    sam_rhos: tuple[float, ...] = (0.03, 0.1, 0.3)
    """Grid of SAM."""
    asam_rhos: tuple[float, ...] = (0.1, 0.3, 1.0)
    """Grid of ASAM, as long as that of SAM."""
    num_train: int = 5000
    """Training pairs."""
    max_length: int = 24
    """Longest training sentence, in subwords."""
    num_subwords: int = 2000
    """Ids of the byte-pair encoding."""
    num_tokens: int = 1024
    """Tokens a batch."""
    epochs: int = 8
    """Epochs of all but adam-2x."""
    beam_size: int = 2
    """Hypotheses that the search keeps."""
    workers: int = 2
    """Processes that train at the same time, one core each."""

    def __post_init__(self):
        """Refuses a comparison that is not fair, or none."""
        check_grids({"--sam-rhos": self.sam_rhos, "--asam-rhos": self.asam_rhos})
        require_seeds(self.seeds)
        require_positive(self, "num_train", "epochs", "workers")


def config_of(study: Study, method: str, rho: float) -> TranslationConfig:
    """Returns the config of a run; `rho` is 0 for Adam."""
    preset = multi30k("adam")
    suffix = f"-rho{rho:g}" if rho else ""
    return dataclasses.replace(
        preset,
        name=f"{method}{suffix}",
        data=dataclasses.replace(
            preset.data,
            num_train=study.num_train,
            num_subwords=study.num_subwords,
            num_tokens=study.num_tokens,
            max_length=study.max_length,
            bucket_lengths=(16, study.max_length),
        ),
        ascent=ascent(method, rho),
        epochs=2 * study.epochs if method == "adam-2x" else study.epochs,
        warmup_steps=200,
        averaged=min(2, study.epochs),
        beam_size=study.beam_size,
    )


def jobs_of(
    study: Study, configs: Sequence[TranslationConfig], seeds: Iterable[int]
) -> list[Job]:
    """Returns a job for each config and seed, seed by seed."""
    options = RunOptions(data_dir=study.data_dir, run_dir=study.run_dir)
    return [
        Job(config, seed, Cadence(eval_every=2), options, translation_task, is_scored)
        for seed in seeds
        for config in configs
    ]


def is_scored(path: pathlib.Path) -> bool:
    """Tells whether a run has translated its evaluated splits."""
    return RunFolder(path).scores.exists()


def grids(study: Study) -> dict[str, tuple[float, ...]]:
    """Returns the values of rho that each method tries."""
    return {
        "adam": (0.0,),
        "adam-2x": (0.0,),
        "sam": study.sam_rhos,
        "asam": study.asam_rhos,
    }


def main(study: Study) -> None:
    """Trains what is left, choosing rho on the way, and writes the report."""
    settings = dataclasses.asdict(study) | {"out": str(study.out)}
    record = {**provenance(), "study": settings}
    results = []
    finished = tune_then_repeat(
        grids(study),
        study.seeds,
        functools.partial(config_of, study),
        lambda configs, seeds: finish(jobs_of(study, configs, seeds), study.workers),
        validation_bleu,
    )
    for method, run in finished:
        results.append(result_of(method, run))
        write_report(study.out, record, results)
    print((study.out / "translation.md").read_text())


if __name__ == "__main__":
    command(Study, main, __doc__ or "")
