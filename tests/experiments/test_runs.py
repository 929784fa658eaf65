import json

import pytest

from experiments.runs import find_runs, read_run


def write_run(path, *, name="cifar10-small-asam", seed=0, epochs=2, series=(0.5, 0.7)):
    """Writes a run folder with a test accuracy for each of the first epochs."""
    path.mkdir(parents=True)
    config = {"seed": seed, "name": name, "epochs": epochs}
    (path / "config.json").write_text(json.dumps(config))
    lines = [
        {"step": 10 * k, "split": split, "epoch": float(k), "accuracy": accuracy}
        for k, accuracy in enumerate(series, 1)
        for split in ("train", "test")
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (path / "metrics.jsonl").write_text(text)
    return path


def test_a_run_is_read_back(tmp_path):
    run = read_run(write_run(tmp_path / "run", seed=3))
    assert run.config["seed"] == 3
    assert run.series("test", "accuracy") == [0.5, 0.7]
    assert run.series("validation", "accuracy") == []


@pytest.mark.parametrize(
    ("series", "is_finished"), [((), False), ((0.5,), False), ((0.5, 0.7), True)]
)
def test_a_run_is_finished_with_its_last_epoch(tmp_path, series, is_finished):
    run = read_run(write_run(tmp_path / "run", series=series))
    assert run.is_finished is is_finished


def test_a_run_that_has_not_begun_is_not_finished(tmp_path):
    path = write_run(tmp_path / "run")
    (path / "metrics.jsonl").unlink()
    assert not read_run(path).is_finished


def test_runs_are_found_at_any_depth(tmp_path):
    paths = [write_run(tmp_path / place) for place in ("a/x/seed0", "a/x/seed1", "b")]
    assert [run.path for run in find_runs([tmp_path])] == paths
    assert [run.path for run in find_runs([paths[1]])] == [paths[1]]


@pytest.mark.parametrize("place", ["empty", "absent"])
def test_a_folder_without_a_run_is_named(tmp_path, place):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=f"no run in {tmp_path / place}"):
        find_runs([tmp_path / place])
