import json

import pytest

from experiments.correlation import __main__ as command_line


@pytest.mark.slow  # 20 s: trains and measures 16 models.
def test_quick_study_writes_tables_results_and_figure(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    command_line.main(["digits", "--quick", "--widths", "8", "--out", str(out)])
    printed = capsys.readouterr()
    assert printed.err == ""  # No bar where standard error is no terminal.
    assert (out / "correlation.md").read_text() in printed.out
    assert (out / "correlation.png").read_bytes().startswith(b"\x89PNG")

    record = json.loads((out / "correlation.json").read_text())
    assert record["study"]["widths"] == [8]
    assert {"command", "commit", "versions", "machine"} < set(record)
    models = record["models"]
    losses = models["train_loss"]
    assert len(losses) == 16
    for step, loss, gap in zip(
        models["steps"], losses, models["error_gap"], strict=True
    ):
        assert (loss < record["study"]["target_loss"]) == (step > 0)
        assert (gap is None) == (step < 0)


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["digits", "--help"])
    text = capsys.readouterr().out
    for option in ("--target-loss", "--dropout", "--plain-l2-rhos", "--out", "--quick"):
        assert option in text


def test_data_that_are_not_prepared_end_with_what_to_do(tmp_path):
    with pytest.raises(SystemExit, match=r"experiments\.prepare cifar10"):
        command_line.main(
            ["cifar10", "--data-dir", str(tmp_path), "--out", str(tmp_path)]
        )


def test_impossible_options_end_with_a_message(capsys):
    with pytest.raises(SystemExit) as exit_info:
        command_line.main(["digits", "--dropout", "0", "1"])
    assert exit_info.value.code == 2
    assert "below 1" in capsys.readouterr().err


def test_control_c_ends_with_a_message(monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "run", interrupted)
    with pytest.raises(SystemExit, match="no results were written"):
        command_line.main([])
