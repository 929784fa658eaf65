import json

import pytest

from experiments.training.curves import draw_curves


def write_metrics(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


TRAIN = {"split": "train", "epoch": 0.5, "loss": 1.0, "accuracy": 0.5, "per_second": 9}
TEST = {"split": "test", "epoch": 1.0, "loss": 0.5, "accuracy": 0.75, "top5": 1.0}


@pytest.mark.parametrize(
    "lines",
    [(), (TRAIN,), (TRAIN, TEST), ({"split": "test", "epoch": 1.0, "accuracy": 0.5},)],
)
def test_a_figure_is_drawn_of_what_there_is(tmp_path, lines):
    metrics = write_metrics(tmp_path / "metrics.jsonl", *lines)
    draw_curves(metrics, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
