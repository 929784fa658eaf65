import json
import resource
import sys

import pytest
from tensorboardX.proto import event_pb2

from experiments.settings_error import SettingsError
from experiments.training.metrics import MetricsLog, read_metrics


def open_log(path, after_step=0, tensorboard=False):
    return MetricsLog(path, after_step=after_step, tensorboard=tensorboard)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = open_log(path)
    for step in (1, 2, 3):
        log.write(step, "train", {"loss": 1 / step, "seconds": 10.0 * step})
    log.close()
    return path


def test_lines_come_back_as_they_were_written(path):
    assert list(read_metrics(path)) == [
        {"step": step, "split": "train", "loss": 1 / step, "seconds": 10.0 * step}
        for step in (1, 2, 3)
    ]


def test_a_line_is_on_disk_before_the_next(tmp_path):
    log = open_log(tmp_path / "metrics.jsonl")
    for step in (1, 2):
        log.write(step, "test", {"loss": 0.5})
        assert len(list(read_metrics(tmp_path / "metrics.jsonl"))) == step
    log.close()


@pytest.mark.parametrize("after_step", [0, 1, 3, 9])
def test_later_lines_are_dropped_on_resuming(path, after_step):
    log = open_log(path, after_step)
    kept = [line["step"] for line in read_metrics(path)]
    assert kept == [step for step in (1, 2, 3) if step <= after_step]
    assert log.seconds_before == 10.0 * len(kept)
    log.close()


def test_a_line_that_was_cut_off_is_dropped(path):
    with path.open("a") as file:
        file.write('{"step": 3, "split": "te')
    log = open_log(path, 3)
    log.write(4, "train", {"loss": 0.0})
    log.close()
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3, 4]


def test_a_run_that_has_not_begun_has_no_lines(tmp_path):
    assert list(read_metrics(tmp_path / "metrics.jsonl")) == []


def test_a_full_disk_is_an_error_that_names_the_file(path):
    log = open_log(path, 3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        with pytest.raises(OSError, match=str(path)):
            log.write(4, "train", {"loss": 0.0})
        with pytest.raises(OSError, match=str(path)):
            log.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3]


def read_events(path):
    """Yields the events of a TensorBoard file: length, checksum, event, checksum."""
    content = path.read_bytes()
    while content:
        end = 12 + int.from_bytes(content[:8], "little")
        yield event_pb2.Event.FromString(content[12:end])  # pyright: ignore
        content = content[end + 4 :]


def test_tensorboard_gets_every_value(path):
    log = open_log(path, 3, tensorboard=True)
    log.write(4, "train", {"loss": 0.25, "accuracy": 0.5})
    log.close()
    (file,) = (path.parent / "tensorboard").iterdir()
    scalars = {
        (value.tag, event.step): value.simple_value
        for event in read_events(file)
        for value in event.summary.value
    }
    assert scalars == {("train/loss", 4): 0.25, ("train/accuracy", 4): 0.5}


def test_tensorboard_that_is_not_installed_names_the_extra(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(SettingsError, match=r"asam_jax\[tensorboard\]"):
        open_log(path, 3, tensorboard=True)


def test_a_number_is_written_with_all_its_digits(tmp_path):
    log = open_log(tmp_path / "metrics.jsonl")
    log.write(1, "train", {"loss": 0.1 + 0.2})
    log.close()
    line = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(line)["loss"] == 0.1 + 0.2
