import pytest

from experiments.training.metrics import MetricsLog, read_metrics
from experiments.training.progress import Progress


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def open_progress(path, start=0):
    log = MetricsLog(path, after_step=start, tensorboard=False)
    return Progress(log, start=start, end=40, steps_per_epoch=8, unit="images")


def test_sums_become_means_over_the_count(path):
    with open_progress(path) as progress:
        progress.training(2, {"loss": 6.0, "accuracy": 3.0, "count": 12.0}, 0.1)
        progress.evaluation(
            4, {"test": {"accuracy": 0.75}, "validation": {"loss": 2.0}}
        )
    train, test, validation = read_metrics(path)
    assert train.pop("seconds") > 0
    assert train.pop("per_second") > 0
    assert train == {
        "step": 2,
        "split": "train",
        "epoch": 0.25,
        "loss": 0.5,
        "accuracy": 0.25,
        "learning_rate": 0.1,
    }
    assert (test["step"], test["split"], test["accuracy"]) == (4, "test", 0.75)
    assert (validation["split"], validation["loss"]) == ("validation", 2.0)


def test_the_bar_is_silent_where_there_is_no_terminal(path, capfd):
    with open_progress(path) as progress:
        progress.advance()
        progress.training(1, {"loss": 1.0, "count": 1.0}, 0.1)
    assert capfd.readouterr() == ("", "")


def test_the_clock_goes_on_where_it_was(path):
    with open_progress(path) as progress:
        progress.training(8, {"loss": 1.0, "count": 1.0}, 0.1)
    before = next(read_metrics(path))["seconds"]
    with open_progress(path, start=8) as progress:
        progress.training(16, {"loss": 1.0, "count": 1.0}, 0.1)
    assert [line["seconds"] > before for line in read_metrics(path)] == [False, True]
