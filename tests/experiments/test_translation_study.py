"""The translation study: what it runs, which rho it chooses, what its report says."""

import json

import numpy as np
import pytest

from experiments import translation_study
from experiments.runs import Run
from experiments.translation_report import (
    result_of,
    validation_bleu,
    write_report,
)
from experiments.translation_study import (
    Study,
    config_of,
    grids,
    is_scored,
    jobs_of,
)

STUDY = Study(epochs=4)


def bleu(score):
    return {
        "plain": {"score": score, "signature": "tok:13a"},
        "tokenized": {"score": score + 1, "signature": "tok:none"},
    }


def scored_run(path, *, name, rho, seed, validation, test):
    """Writes the scores of a run, and returns it with two evaluations."""
    path = path / name / f"seed{seed}"
    path.mkdir(parents=True)
    sample = {"source": "ein Hund", "reference": "a dog", "translation": f"{name} dog"}
    scores = {
        "validation": {"bleu": bleu(validation)},
        "test": {"bleu": bleu(test), "samples": [sample]},
    }
    (path / "scores.json").write_text(json.dumps(scores))
    lines = [
        {"split": split, "epoch": epoch, "loss": 5.0 - epoch}
        for epoch in (2.0, 4.0)
        for split in ("train", "validation", "test")
    ]
    config = {"name": name, "ascent": {"rho": rho}, "seed": seed}
    return Run(path, config, lines)


@pytest.fixture
def runs(tmp_path):
    cases = [
        ("adam", 0.0, 0, 10.0, 11.0),
        ("adam", 0.0, 1, 10.0, 13.0),
        ("sam-rho0.03", 0.03, 0, 12.0, 20.0),
        ("sam-rho0.1", 0.1, 0, 14.0, 15.0),
        ("sam-rho0.1", 0.1, 1, 14.0, 16.0),
        ("asam-rho1", 1.0, 0, 9.0, 9.0),
    ]
    names = ("name", "rho", "seed", "validation", "test")
    return [
        scored_run(tmp_path, **dict(zip(names, case, strict=True))) for case in cases
    ]


def test_methods_differ_by_their_ascent_and_epochs_alone():
    configs = {
        method: config_of(STUDY, method, rhos[0])
        for method, rhos in grids(STUDY).items()
    }
    assert configs["adam-2x"].epochs == 2 * configs["adam"].epochs
    assert {configs[m].epochs for m in ("adam", "sam", "asam")} == {4}
    assert configs["sam"].ascent.normalization == "identity"
    assert configs["asam"].ascent.normalization == "elementwise"
    assert configs["adam"].ascent.rho == configs["adam-2x"].ascent.rho == 0
    for field in ("data", "net", "learning_rate", "warmup_steps", "beam_size"):
        assert len({str(getattr(config, field)) for config in configs.values()}) == 1


def test_runs_have_folders_of_their_own():
    configs = [
        config_of(STUDY, method, rho)
        for method, rhos in grids(STUDY).items()
        for rho in rhos
    ]
    assert len({config.name for config in configs}) == len(configs) == 8
    assert [job.seed for job in jobs_of(STUDY, configs, (0, 1))] == 8 * [0] + 8 * [1]


def test_grids_must_be_equally_long():
    with pytest.raises(ValueError, match="equally long"):
        Study(sam_rhos=(0.1,), asam_rhos=(0.1, 0.2))


def test_a_run_is_finished_once_it_is_scored(runs, tmp_path):
    assert is_scored(runs[0].path)
    assert not is_scored(tmp_path)


def test_validation_chooses_rho_by_bleu_of_plain_text(runs):
    assert [validation_bleu(run) for run in runs] == [10, 10, 12, 14, 14, 9]


def test_the_report_has_the_chosen_runs(runs, tmp_path):
    methods = ("adam", "adam", "sam", "sam", "sam", "asam")
    results = [result_of(*pair) for pair in zip(methods, runs, strict=True)]
    record = {"commit": "abc", "study": {"seeds": [0, 1]}}
    write_report(tmp_path / "out", record, results)
    table = (tmp_path / "out/translation.md").read_text()
    assert "| Adam, equal steps | - | 2 | 12.00 ± 1.00 | 13.00 ± 1.00 |" in table
    assert "| Adam, equal compute |  | 0 | not run |" in table
    # SAM's smaller rho is better on test, which has no say.
    sam = "| SAM | 0.1 (edge) | 2 | 15.50 ± 0.50 | 16.50 ± 0.50 | 1.00 ± 0.00 |"
    assert sam in table
    assert "| ASAM | 1 | 1 | 9.00 | 10.00 | 1.00 | 1.00 |" in table
    assert "(edge): the end of the grid" in table
    assert "BLEU `tok:13a`, tokenized `tok:none`" in table
    assert "* ein Hund\n  * reference: a dog\n  * Adam, equal steps: adam dog" in table
    assert "sam-rho0.03 dog" not in table
    record = json.loads((tmp_path / "out/translation.json").read_text())
    assert record["commit"] == "abc"
    assert len(record["runs"]) == len(runs)
    best = max(record["runs"], key=lambda run: run["test_bleu"])
    assert (best["method"], best["rho"]) == ("sam", 0.03)
    assert np.size(best["validation_loss"]) == 2
    assert (tmp_path / "out/translation.png").stat().st_size > 0


def test_the_first_seed_tries_all_and_the_others_run_at_the_chosen_rho(
    monkeypatch, tmp_path, capsys
):
    trained = []

    def finish(jobs, workers):
        for job in jobs:
            name, rho = job.config.name, job.config.ascent.rho
            trained.append((name, job.seed))
            yield scored_run(
                tmp_path, name=name, rho=rho, seed=job.seed, validation=rho, test=9.0
            )

    monkeypatch.setattr(translation_study, "finish", finish)
    study = Study(seeds=(5, 0), sam_rhos=(0.1, 0.3), asam_rhos=(1.0, 2.0), out=tmp_path)
    translation_study.main(study)
    last = ["adam", "adam-2x", "sam-rho0.3", "asam-rho2"]
    first = [*last[:2], "sam-rho0.1", "sam-rho0.3", "asam-rho1", "asam-rho2"]
    assert trained == [(name, 5) for name in first] + [(name, 0) for name in last]
    report = (tmp_path / "translation.md").read_text()
    assert "| Adam, equal compute | - | 2 |" in report
    assert "| ASAM | 2 (edge) | 2 |" in report
    assert report in capsys.readouterr().out
