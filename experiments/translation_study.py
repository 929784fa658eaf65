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
import pathlib
from collections.abc import Iterable

from experiments.presets import ascent
from experiments.provenance import provenance
from experiments.runs import Run
from experiments.study import best_rho, command, finish_all
from experiments.training.config import Cadence, RunOptions
from experiments.training.run_folder import RunFolder
from experiments.training.translation_config import TranslationConfig
from experiments.training.translation_task import translation_task
from experiments.translation_presets import multi30k
from experiments.translation_report import method_of, scores_of, write_report
from experiments.worker_pool import Job

METHODS = ("adam", "adam-2x", "sam", "asam")


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
        if len(self.sam_rhos) != len(self.asam_rhos):
            raise ValueError("the grids of SAM and ASAM must be equally long")
        if not self.seeds:
            raise ValueError("there must be at least one seed")


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
        averaged=2,
        beam_size=study.beam_size,
    )


def jobs_of(
    study: Study, configs: Iterable[TranslationConfig], seeds: Iterable[int]
) -> list[Job]:
    """Returns a job for each config and seed."""
    options = RunOptions(data_dir=study.data_dir, run_dir=study.run_dir)
    seeds = tuple(seeds)
    return [
        Job(config, seed, Cadence(eval_every=2), options, translation_task, is_scored)
        for config in configs
        for seed in seeds
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


def chosen_rho(runs: list[Run], method: str) -> float:
    """Returns the rho with the best BLEU on the validation split."""
    return best_rho(
        (scores_of(run)["validation"], run.config["ascent"]["rho"])
        for run in runs
        if method_of(run) == method
    )


def main(study: Study) -> None:
    """Trains what is left, choosing rho on the way, and writes the report."""
    record = provenance()
    settings = dataclasses.asdict(study) | {"out": str(study.out)}
    runs: list[Run] = []

    def add(run: Run) -> None:
        runs.append(run)
        write_report(study.out, record, settings, runs)

    tuned = [
        config_of(study, method, rho)
        for method, rhos in grids(study).items()
        for rho in rhos
    ]
    finish_all(jobs_of(study, tuned, study.seeds[:1]), study.workers, add)
    final = [config_of(study, method, chosen_rho(runs, method)) for method in METHODS]
    finish_all(jobs_of(study, final, study.seeds[1:]), study.workers, add)
    print((study.out / "translation.md").read_text())


if __name__ == "__main__":
    command(Study, main, __doc__ or "")
