"""The committed tables are those of the committed records.

Those of `digits` and `correlation` cannot be had from their records alone, which hold
rounded numbers.
"""

import json
import pathlib

import pytest

from experiments import (
    cost,
    label_noise_report,
    normalization_report,
    translation_report,
)
from experiments.benchmarks import projection
from experiments.benchmarks import report as benchmark_report
from experiments.benchmarks.projection import Speeds
from experiments.frontier.report import markdown, read_ratios, read_studies
from experiments.toy import report as toy_report

RESULTS = pathlib.Path(__file__).parents[2] / "experiments" / "results"


def communication(record):
    speeds = record["options"]["speeds"]
    assumed = Speeds(speeds["teraflops"], tuple(speeds["gigabytes"]))
    return projection.markdown(record["programs"], record["projections"], assumed)


MARKDOWN = {
    "benchmark": benchmark_report.markdown,
    "communication": communication,
    "cost": cost.markdown,
    "label_noise": label_noise_report.markdown,
    "normalization": normalization_report.markdown,
    "toy": toy_report.markdown,
    "translation": translation_report.markdown,
}


@pytest.mark.parametrize("name", MARKDOWN)
def test_the_table_is_that_of_its_record(name):
    record = json.loads((RESULTS / f"{name}.json").read_text())
    assert MARKDOWN[name](record) == (RESULTS / f"{name}.md").read_text()


def test_the_frontier_is_that_of_its_records():
    found = markdown(read_studies(RESULTS), read_ratios(RESULTS))
    assert found == (RESULTS / "frontier.md").read_text()
