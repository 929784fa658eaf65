import json

import pytest

from experiments.normalization_report import Options, main, scheme_of, write_report
from tests.experiments.test_normalization import STUDY, make_run

SCHEMES = ["sgd", *STUDY.grids]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_is_read_from_the_ascent(scheme):
    rho = 0.0 if scheme == "sgd" else 0.4
    assert scheme_of(make_run(scheme, rho)) == scheme


def test_another_ball_is_refused():
    run = make_run("elementwise", 0.4)
    run.config["ascent"]["eta"] = 0.5
    with pytest.raises(ValueError, match=r"no run of a normalization scheme: .*0\.5"):
        scheme_of(run)


def table_rows(path) -> dict[str, list[str]]:
    lines = (path / "normalization.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in rows}


def test_the_table_shows_the_rho_that_validation_chose(tmp_path):
    runs = [
        make_run("sgd", 0.0, test=0.3),
        make_run("filterwise", 0.4, validation=0.6, test=0.4),
        make_run("filterwise", 0.1, validation=0.5, test=0.9),
        make_run("filterwise", 0.9, validation=0.5, test=0.2),
        # The mean over seeds chooses: 0.55 against 0.5.
        make_run("layerwise", 1.0, 5, validation=0.9, test=0.5),
        make_run("layerwise", 1.0, 0, validation=0.2, test=0.7),
        make_run("layerwise", 2.0, 5, validation=0.5),
        make_run("layerwise", 2.0, 0, validation=0.5),
    ]
    write_report(tmp_path, {}, runs)
    rows = table_rows(tmp_path)
    assert rows["SGD"] == ["-", "-", "1", "30.00", "90.00", "25.00"]
    assert rows["filter-wise, p = 2"] == [
        *("0.4", "0.1, 0.4, 0.9", "1", "40.00", "90.00", "25.00")
    ]
    assert rows["layer-wise, p = 2"] == [
        *("1 (edge)", "1, 2", "2", "60.00 ± 10.00", "90.00 ± 0.00", "25.00 ± 0.00")
    ]
    assert "not run" in rows["element-wise, p = inf"]
    # With a header and the line below it.
    assert len(rows) == 2 + len(SCHEMES)
    assert (tmp_path / "normalization.png").read_bytes().startswith(b"\x89PNG")


def test_the_record_holds_every_run(tmp_path):
    runs = [make_run("elementwise-inf", rho) for rho in (0.04, 0.01)]
    write_report(tmp_path / "new", {"commit": "abc"}, runs)
    record = json.loads((tmp_path / "new/normalization.json").read_text())
    assert record["commit"] == "abc"
    assert [(run["scheme"], run["rho"]) for run in record["runs"]] == [
        *(("elementwise-inf", 0.01), ("elementwise-inf", 0.04))
    ]


def test_runs_that_differ_otherwise_share_no_figure(tmp_path):
    longer = make_run("layerwise", 1.0)
    longer.config["epochs"] = 17
    with pytest.raises(
        ValueError, match="cannot share a figure: they differ in epochs"
    ):
        write_report(tmp_path, {}, [make_run("layerwise", 2.0), longer])
    with pytest.raises(ValueError, match="no finished run"):
        write_report(tmp_path, {}, [])


def test_the_command_reads_run_folders_and_names_the_unfinished(tmp_path, capsys):
    for run in (make_run("sgd", 0.0), make_run("layerwise", 2.0)):
        folder = tmp_path / "runs" / run.path / "seed5"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(run.config))
        lines = run.lines if run.config["ascent"]["rho"] else run.lines[:-1]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text)
    main(Options((tmp_path / "runs",), out=tmp_path / "out"))
    assert table_rows(tmp_path / "out")["layer-wise, p = 2"][2] == "1"
    printed = capsys.readouterr()
    assert "| layer-wise, p = 2 | 2 |" in printed.out
    assert "left out, unfinished" in printed.err and "noise40-sgd-rho0" in printed.err


def test_a_folder_without_runs_is_named(tmp_path):
    with pytest.raises(SystemExit, match="error: no run in"):
        main(Options((tmp_path,), out=tmp_path))
