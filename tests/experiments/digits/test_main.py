import json
import re

import pytest

from experiments.digits import __main__ as command_line


@pytest.mark.slow  # 15 s: compiles a program for each method.
def test_quick_run_writes_table_results_and_figures(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    options = ["--quick", "--epochs", "2", "--num-seeds", "1", "--noise-rates", "0.2"]
    command_line.main([*options, "--out", str(out)])
    printed = capsys.readouterr()
    assert printed.err == ""  # No bar where standard error is no terminal.
    assert (out / "digits.md").read_text() in printed.out
    assert f"{out}/digits" in printed.out

    record = json.loads((out / "digits.json").read_text())
    assert record["config"]["epochs"] == 2
    assert re.fullmatch(r"3\.1\d\..*", record["versions"]["python"])
    assert [result["method"] for result in record["results"]] == [
        *("SGD, equal steps", "SGD, equal compute", "SAM", "ASAM")
    ]
    asam = record["results"][-1]
    assert asam["rhos"] == [0.5, 2.0]
    assert len(asam["runs"]["test_last"]) == 2
    assert asam["test_last"]["standard_error"] is None  # one seed
    assert record["invariance"]["ASAM in theory"]["largest_shift"] < 1e-4

    for figure in ("rho", "curves", "invariance"):
        assert (out / f"digits-{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["--help"])
    text = capsys.readouterr().out
    for option in ("--noise-rates", "--num-seeds", "--sam-rhos", "--out", "--quick"):
        assert option in text
    assert "validation" in text


def test_impossible_options_end_with_what_to_do(capsys):
    with pytest.raises(SystemExit) as exit_info:
        command_line.main(["--noise-rates", "1.5"])
    assert exit_info.value.code == 2
    assert "0.4 for 40 %" in capsys.readouterr().err


def test_control_c_ends_with_a_message(monkeypatch):
    def interrupted(config):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "run", interrupted)
    with pytest.raises(SystemExit, match="no results were written"):
        command_line.main(["--quick"])
