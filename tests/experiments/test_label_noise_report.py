import json

from experiments.label_noise_report import result_of, write_report
from tests.experiments.test_label_noise import make_run

STUDY = {"seeds": (5, 0), "epochs": 8}


def write(folder, runs) -> None:
    """Writes the report of methods and their runs."""
    results = [result_of(method, run) for method, run in runs]
    write_report(folder, {"commit": "abc", "study": STUDY}, results)


def table_rows(path) -> list[list[str]]:
    lines = (path / "label_noise.md").read_text().splitlines()
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in lines
        if "|" in line
    ]


def test_the_table_shows_the_rho_that_validation_chose(tmp_path):
    runs = [
        ("sam", make_run("sam", 0.1, 5, validation=0.5, test=0.9)),
        ("sam", make_run("sam", 0.4, 5, validation=0.6, test=0.4)),
        ("sam", make_run("sam", 0.4, 0, validation=0.1, test=0.6)),
        ("sam", make_run("sam", 0.9, 5, validation=0.3, test=0.7)),
        # Another noise and another seed have no say.
        ("sam", make_run("sam", 0.1, 5, noise_rate=0.5, validation=0.99)),
        ("sam", make_run("sam", 0.1, 0, validation=0.99)),
        ("sgd", make_run("sgd", 0.0, 5, test=0.3)),
    ]
    write(tmp_path, runs)
    header, _, *rows = table_rows(tmp_path)[:6]
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
    write(tmp_path, [("asam", run) for run in runs])
    assert table_rows(tmp_path)[-1][:2] == ["ASAM", "4 (edge)"]
    assert "(edge): the end of the grid" in (tmp_path / "label_noise.md").read_text()


def test_each_noise_rate_has_a_table(tmp_path):
    runs = [make_run("sgd", 0.0, 5, noise_rate=rate) for rate in (0.4, 0.0)]
    write(tmp_path, [("sgd", run) for run in runs])
    lines = (tmp_path / "label_noise.md").read_text().splitlines()
    assert "(edge)" not in "".join(lines)
    titles = [line.split(",")[0] for line in lines if "Label noise" in line]
    assert titles == ["Label noise 0%", "Label noise 40%"]


def test_the_record_holds_every_run(tmp_path):
    runs = [make_run("sam", rho, 5) for rho in (0.4, 0.1)]
    write(tmp_path / "new", [("sam", run) for run in runs])
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
