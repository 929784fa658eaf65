import json

import pytest

from experiments.label_noise_report import method_of, write_report
from tests.experiments.test_label_noise import make_run

STUDY = {"seeds": (5, 0), "epochs": 8}


@pytest.mark.parametrize("method", ["sgd", "sgd-2x", "sam", "asam"])
def test_the_method_is_read_from_the_name(method):
    rho = 0.0 if method.startswith("sgd") else 0.4
    assert method_of(make_run(method, rho, 0)) == method


def table_rows(path) -> list[list[str]]:
    lines = (path / "label_noise.md").read_text().splitlines()
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in lines
        if "|" in line
    ]


def test_the_table_shows_the_rho_that_validation_chose(tmp_path):
    runs = [
        make_run("sam", 0.1, 5, validation=0.5, test=0.9),
        make_run("sam", 0.4, 5, validation=0.6, test=0.4),
        make_run("sam", 0.4, 0, validation=0.1, test=0.6),
        make_run("sgd", 0.0, 5, test=0.3),
    ]
    write_report(tmp_path, {}, STUDY, runs)
    header, _, *rows = table_rows(tmp_path)
    assert header == [
        "",
        "rho",
        "seeds",
        "last epoch",
        "maximum",
        "on noisy train labels",
    ]
    assert rows == [
        ["SGD, equal steps", "-", "1", "30.00", "90.00", "25.00"],
        ["SGD, equal compute", "", "0", "not run", "", ""],
        ["SAM", "0.4", "2", "50.00 ± 10.00", "90.00 ± 0.00", "25.00 ± 0.00"],
        ["ASAM", "", "0", "not run", "", ""],
    ]


def test_table_and_study_choose_the_same_of_two_best(tmp_path):
    runs = [make_run("asam", rho, 5, validation=0.6) for rho in (10.0, 4.0)]
    write_report(tmp_path, {}, STUDY, runs)
    assert table_rows(tmp_path)[-1][:2] == ["ASAM", "4"]


def test_each_noise_rate_has_a_table(tmp_path):
    runs = [make_run("sgd", 0.0, 5, noise_rate=rate) for rate in (0.4, 0.0)]
    write_report(tmp_path, {}, STUDY, runs)
    lines = (tmp_path / "label_noise.md").read_text().splitlines()
    titles = [line.split(",")[0] for line in lines if "Label noise" in line]
    assert titles == ["Label noise 0%", "Label noise 40%"]


def test_the_record_holds_every_run(tmp_path):
    runs = [make_run("sam", rho, 5) for rho in (0.4, 0.1)]
    write_report(tmp_path / "new", {"commit": "abc"}, STUDY, runs)
    record = json.loads((tmp_path / "new/label_noise.json").read_text())
    assert record["commit"] == "abc"
    assert record["study"]["seeds"] == [5, 0]
    assert [run["rho"] for run in record["runs"]] == [0.1, 0.4]
    assert record["runs"][0] == {
        "noise_rate": 0.4,
        "method": "sam",
        "rho": 0.1,
        "seed": 5,
        "last_test_accuracy": 0.5,
        "max_test_accuracy": 0.9,
        "last_validation_accuracy": 0.5,
        "last_train_loss": 1.0,
        "last_train_accuracy": 0.25,
    }
    assert (tmp_path / "new/label_noise.png").read_bytes().startswith(b"\x89PNG")
