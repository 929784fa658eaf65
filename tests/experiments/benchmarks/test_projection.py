import pytest

from experiments.benchmarks.projection import (
    Speeds,
    counted_table,
    project,
    projected_table,
)

ROW = {
    "devices": 8,
    "step": "ASAM, one eps",
    "collectives": {
        "all-reduce": {"count": 3, "payload_bytes": 4e6, "wire_bytes": 7e6}
    },
    "wire_bytes": 7e6,
    "state_bytes_a_device": 2.5e6,
    "gradients_a_step": 2.0,
}
SPEEDS = Speeds(teraflops=50.0, gigabytes=(100.0, 7.0))


def test_times_are_work_over_speed():
    projected = project(ROW, gradient_flops=1e11, assumed=SPEEDS)
    assert projected["compute_milliseconds"] == pytest.approx(4)
    assert projected["milliseconds_to_send_at_gigabytes"] == {
        "100": pytest.approx(0.07),
        "7": pytest.approx(1),
    }
    assert projected["share_of_the_step_at_gigabytes"] == {
        "100": pytest.approx(0.07 / 4.07),
        "7": pytest.approx(0.2),
    }


def test_the_tables_show_them():
    projected = project(ROW, gradient_flops=1e11, assumed=SPEEDS)
    sgd = {**ROW, "step": "SGD", "collectives": {}, "wire_bytes": 0.0}
    assert counted_table([ROW, sgd]).splitlines()[2:] == [
        "| 8 | ASAM, one eps | 3, 4.0 | 7.0 | 2.5 |",
        "| 8 | SGD | none | 0.0 | 2.5 |",
    ]
    assert projected_table([projected], SPEEDS).splitlines()[2:] == [
        "| 8 | ASAM, one eps | 4.0 | 0.07, 2% | 1.00, 20% |"
    ]
    for table in (counted_table([ROW]), projected_table([projected], SPEEDS)):
        assert len({line.count("|") for line in table.splitlines()}) == 1
