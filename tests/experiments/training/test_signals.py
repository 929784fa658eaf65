"""Signals in the loop: it saves, stops, and goes on as if nothing had been."""

import signal

import pytest

from tests.experiments.training.running import (
    END,
    assert_same_run,
    interrupted_at,
    train_tiny,
)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops(tmp_path, unbroken, signum):
    before = signal.getsignal(signum)
    outcome = train_tiny(tmp_path, task=interrupted_at(17, signum))
    assert outcome.interrupted and not outcome.finished
    assert int(outcome.state.step) == 17
    assert (outcome.folder.checkpoints / "17").is_dir()
    assert signal.getsignal(signum) is before
    assert_same_run(train_tiny(tmp_path), unbroken)


def test_a_second_ctrl_c_acts_at_once(tmp_path):
    task = interrupted_at(17, signal.SIGINT, times=2)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path, task=task)
    assert int(train_tiny(tmp_path, max_steps=1).state.step) == 10


def test_a_signal_in_the_last_step_is_not_forgotten(tmp_path, unbroken):
    outcome = train_tiny(tmp_path, task=interrupted_at(END, signal.SIGTERM))
    assert outcome.interrupted and outcome.finished
    assert_same_run(outcome, unbroken)
