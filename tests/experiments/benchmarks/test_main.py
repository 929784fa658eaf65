"""`make bench` from nets to files, on one tiny net, without PyTorch."""

import json

import pytest

from experiments.benchmarks import __main__ as command
from experiments.benchmarks import report
from experiments.benchmarks.methods import LIKE_FOR_LIKE
from experiments.benchmarks.problems import mlp_problem
from experiments.benchmarks.timing import Spread


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark")
    tiny = mlp_problem((4,), batch_size=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "PROBLEMS", {"tiny": lambda: tiny})
        patch.setattr(command, "torch_peer", None)
        patch.setattr(command.convolution, "BATCH", 1)
        patch.setattr(command.convolution, "CONVOLUTIONS", {})
        patch.setattr(command.growth, "WIDTHS", (2, 4))
        patch.setattr(command.growth, "BATCH_SIZES", (1, 2))
        command.main(command.Options(out, 0.0, 0.0, 0.0, 0.0, (1000, 2000)))
    return out


def test_the_record_tells_where_it_was_measured_and_what(folder):
    record = json.loads((folder / "benchmark.json").read_text())
    assert {"command", "commit", "versions", "machine", "options"} <= set(record)
    rows = record["nets"]["tiny"]["methods"]
    assert rows["SGD"]["ratio"] == {"median": 1.0, "lower": 1.0, "upper": 1.0}
    assert rows["ASAM, asam_jax"]["compile_seconds"] > 0
    assert rows["ASAM, pytorch_optimizer"] is None
    compared = record["nets"]["tiny"]["against_peers"]
    assert [(found["ours"], found["peer"]) for found in compared] == [*LIKE_FOR_LIKE]


def test_the_table_says_what_is_not_installed(folder):
    lines = (folder / "benchmark.md").read_text().splitlines()
    absent = [line for line in lines if "not installed" in line]
    assert len(absent) == 6  # two steps, two ascents and two layers
    assert all("PyTorch" in line or "pytorch_optimizer" in line for line in absent)
    cells = [line.count("|") for line in lines if line.startswith("| tiny, ")]
    assert len(cells) == 10 and len(set(cells)) == 1


def test_every_program_is_held_against_its_peers(folder):
    lines = (folder / "benchmark.md").read_text().splitlines()
    verdicts = [
        line.split(" | ") for line in lines if "| yes |" in line or "| no |" in line
    ]
    assert len(verdicts) == 4 + 2 * 2 + 2 * 4  # steps, ascents, growth
    for _, ours, peer, *_ in verdicts:
        assert "asam_jax" in ours and ("optax" in peer or "by hand" in peer)


def test_the_figure_is_drawn(folder):
    assert (folder / "benchmark.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Spread(1.02, 1.01, 1.03), True),
        (Spread(1.05, 0.99, 1.10), True),  # the spreads overlap
        (Spread(1.05, 1.03, 1.10), False),
    ],
)
def test_no_slower(found, verdict):
    assert report.is_no_slower(found) == verdict


def test_peak_memory_is_what_a_step_holds_at_once():
    ours = {"temporary_bytes": 30, "persistent_bytes": 10}
    peer = {"temporary_bytes": 30, "persistent_bytes": 50}
    assert report.peak_ratio(ours, peer) == 0.5
