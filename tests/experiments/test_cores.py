import os
import subprocess
import sys

import pytest

from experiments.cores import available_cores, pin_to_core

CHILD = """
from experiments.cores import available_cores, pin_to_core
last = available_cores()[-1]
pin_to_core(last)
assert available_cores() == (last,)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="there is no affinity")
def test_a_pinned_process_has_one_core():
    subprocess.run([sys.executable, "-c", CHILD], check=True)


def test_without_affinity_all_cores_are_there_and_none_is_chosen(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    pin_to_core(1)
    assert available_cores() == (0, 1, 2)
