import json
import math
import subprocess

import jax
import pytest

from experiments import provenance
from experiments.provenance import write_json, write_results


def test_provenance_names_command_commit_versions_and_machine(monkeypatch):
    monkeypatch.setattr("sys.orig_argv", ["/env/bin/python", "-m", "x", "--a", "b c"])
    record = provenance.provenance()
    assert record["command"] == "python -m x --a 'b c'"
    assert record["versions"]["jax"] == jax.__version__
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["devices"] == [d.device_kind for d in jax.devices()]


def test_commit_and_its_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    record = provenance.provenance()
    assert record["commit"] is None and record["uncommitted_changes"] is None

    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-qm", "x", "--allow-empty"]):
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True)
    record = provenance.provenance()
    assert len(record["commit"]) == 40 and record["uncommitted_changes"] is False
    (tmp_path / "file").touch()
    assert provenance.provenance()["uncommitted_changes"] is True


def test_results_are_a_record_and_a_text_in_a_folder_that_may_be_new(tmp_path):
    for found in (1, 2):  # the second replaces the first
        write_results(tmp_path / "new" / "er", "study", {"found": found}, f"{found}\n")
    files = {path.name: path.read_text() for path in (tmp_path / "new/er").iterdir()}
    assert json.loads(files.pop("study.json")) == {"found": 2}
    assert files == {"study.md": "2\n"}


def test_json_keeps_lists_of_numbers_on_a_line(tmp_path):
    record = {"a": {"b": [[1, 2.5], [3, 4]]}, "names": ["x [1,", "y]"], "c": None}
    write_json(tmp_path / "r.json", record)
    text = (tmp_path / "r.json").read_text()
    assert json.loads(text) == record
    assert "[1, 2.5]" in text


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_has_null_for_numbers_that_are_not_finite(tmp_path, number):
    write_json(tmp_path / "r.json", {"a": [1, {"b": number}]})
    assert json.loads((tmp_path / "r.json").read_text()) == {"a": [1, {"b": None}]}
