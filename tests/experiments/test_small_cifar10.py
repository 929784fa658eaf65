import json

from experiments import small_cifar10
from experiments.small_cifar10 import SmallStudy
from experiments.training.config import Ascent

STUDY = SmallStudy(
    data_dir="D",
    run_dir="R",
    num_train=300,
    num_validation=200,
    epochs=8,
    batch_size=32,
)


def test_a_config_is_that_of_the_study():
    ascent = Ascent(rho=0.1)
    config = STUDY.config("name", ascent, 0.4, epochs=16)
    assert (config.name, config.net, config.ascent) == ("name", "small", ascent)
    assert (config.epochs, config.batch_size, config.label_smoothing) == (16, 32, 0)
    data = config.data
    assert (data.dataset, data.augmentation, data.shrink) == ("cifar10", "none", 2)
    assert (data.num_train, data.num_validation, data.noise_rate) == (300, 200, 0.4)


def test_every_config_and_seed_is_a_job_of_its_own():
    configs = [STUDY.config(name, Ascent(), 0.0, 8) for name in ("a", "b")]
    jobs = STUDY.jobs(configs, iter((5, 0)))
    assert [(job.config.name, job.seed) for job in jobs] == [
        *(("a", 5), ("b", 5), ("a", 0), ("b", 0))
    ]
    assert {(job.options.data_dir, job.options.run_dir) for job in jobs} == {("D", "R")}
    assert jobs[0].cadence.eval_every == 2


def test_settings_are_json():
    record = json.loads(json.dumps(STUDY.record()))
    assert (record["out"], record["epochs"]) == ("runs", 8)


def test_as_many_workers_finish_the_jobs_as_the_study_has(monkeypatch):
    monkeypatch.setattr(
        small_cifar10, "finish", lambda jobs, workers: iter([workers, *jobs])
    )
    configs = [STUDY.config("a", Ascent(), 0.0, 8)]
    assert list(STUDY.finish(configs, (0, 1))) == [2, *STUDY.jobs(configs, (0, 1))]
