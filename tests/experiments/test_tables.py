import pytest

from experiments.runs import find_runs, read_run
from experiments.tables import Options, cell, group_by_name, main, table
from tests.experiments.test_runs import write_run


@pytest.fixture
def runs_dir(tmp_path):
    """Two seeds of ASAM, one of SGD, and an unfinished one of SAM."""
    path = tmp_path / "runs"
    for seed, series in enumerate([(0.5, 0.7), (0.9, 0.8)]):
        write_run(
            path / f"asam/seed{seed}",
            name="cifar10-wrn28_10-asam",
            seed=seed,
            series=series,
        )
    write_run(path / "sgd", name="cifar10-wrn28_10-sgd", series=(0.6, 0.65))
    write_run(path / "sam", name="cifar10-wrn28_10-sam", series=(0.6,))
    return path


def test_a_cell_has_the_last_epoch_the_seeds_and_the_maximum(runs_dir):
    runs = find_runs([runs_dir / "asam"])
    # 70 and 80: 75 ± 5. The maxima are 70 and 90.
    assert cell(runs) == "75.00 ± 5.00 (2); max 80.00 ± 10.00"
    assert cell(runs[:1]) == "70.00 (1); max 70.00"
    assert cell([]) == "not run"


def test_a_row_has_our_cells_and_the_papers(runs_dir):
    groups = group_by_name([run for run in find_runs([runs_dir]) if run.is_finished])
    header, rule, row = table(groups).splitlines()
    assert header == "|  | sgd | sam | asam | paper: sgd | sam | asam |"
    assert rule.count("|") == header.count("|")
    assert [column.strip() for column in row.split("|")[1:-1]] == [
        "cifar10-wrn28_10",
        "65.00 (1); max 65.00",
        "not run",
        "75.00 ± 5.00 (2); max 80.00 ± 10.00",
        "96.34±.12",
        "96.98±.04",
        "97.28±.07",
    ]


def test_a_figure_that_is_not_verified_is_marked(tmp_path):
    run = read_run(write_run(tmp_path / "run", name="cifar10-resnet20-asam"))
    assert "93.82±.17 (unverified)" in table(group_by_name([run]))


def test_what_is_not_in_the_paper_has_no_figure_of_it(tmp_path):
    run = read_run(write_run(tmp_path / "run", name="cifar10-small-asam"))
    row = table(group_by_name([run])).splitlines()[-1]
    assert row.endswith("|  |  |  |")


def test_runs_with_different_configs_are_refused(tmp_path, capsys):
    for place, epochs in (("a", 2), ("b", 1)):
        write_run(tmp_path / place, epochs=epochs, series=(0.5,) * epochs)
    with pytest.raises(SystemExit) as error:
        main(Options((tmp_path,)))
    assert "runs of cifar10-small-asam have different configs" in str(error.value)
    assert str(tmp_path / "a") in str(error.value)


def test_a_seed_that_comes_twice_is_refused(tmp_path):
    for place in ("a", "b"):
        write_run(tmp_path / place)
    with pytest.raises(ValueError, match="have the same seed"):
        group_by_name(find_runs([tmp_path]))


def test_what_is_left_out_is_named(runs_dir, capsys):
    # A part of a study, and a translator, whose accuracy is that of tokens.
    others = ("noise40-asam-rho4", "numbers-asam")
    for name in others:
        write_run(runs_dir / name, name=name)
    main(Options((runs_dir,)))
    output = capsys.readouterr()
    assert f"left out, unfinished: {runs_dir / 'sam'}\n" in output.err
    for name in others:
        assert f"left out, no cell of a table: {runs_dir / name}\n" in output.err
        assert name.partition("-")[0] not in output.out


def test_table_and_figure_are_written(runs_dir, tmp_path, capsys):
    main(Options((runs_dir,), out=tmp_path / "out"))
    written = (tmp_path / "out/tables.md").read_text()
    assert written in capsys.readouterr().out
    assert (tmp_path / "out/tables.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_a_run_ends_with_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match=f"error: no run in {tmp_path}"):
        main(Options((tmp_path,)))
